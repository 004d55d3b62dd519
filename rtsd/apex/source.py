"""The package's source for one org, as a Salesforce DX project and in metadata format.

The files common to all orgs are the core. A trigger per object, the tests of these, the remote
site and the relay's user are generated per org. The core names none of them, so that it can be a package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from rtsd.apex.names import trigger_names
from rtsd.core.relay import position_fields

VERSION = "1.0.0"
"""The package's version, the `pkg` of every push."""

NEWEST_API = 66.0
"""From 67 on, Apex runs in user mode by default (Apex versioned behaviour), which the package must not."""
OLDEST_API = 62.0
"""The first version with `UUID`, `Database.queryWithBinds` and access levels."""

TEST_CLASSES = ("RTS_Test", "RTS_Sending_Test", "RTS_Stream_Test", "RTS_Heartbeat_Test", "RTS_Trigger_Test")
"""The tests for `runTests`, which together cover every class and trigger of the package."""

TRIGGERS_CLASS = "RTS_Triggers"
"""The generated class with the objects of the triggers."""
RELAY_NOTE = "// Saved again to resume its subscription."
"""A comment in the relay's source, without meaning; adding or removing it modifies the relay."""

CORE = "force-app"
GENERATED = "generated"
"""The directories of the project: what is the same for every org, and what is not."""
PACKAGE = "RTS"
"""The name of the unlocked package that the core can become."""
PAGES = ("README.md", "REMOVE.md")
"""The pages in an exported project: how to deploy, and how to remove the package without rtsd."""
REMOVAL_TEST = "RTS_Removal_Test"
"""The test that is left for last when the package is removed from production."""
_INSIDE = "/main/default/"
_GATEWAY = "{{gateway}}"
"""The mark for the gateway's address."""
_PER_ORG = ("PlatformEventSubscriberConfigs/", "remoteSiteSettings/")
"""Folders of the package data with values of one org."""
NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
_EVENTS = ("before insert", "after insert", "after update", "after delete", "after undelete")
_UNDELETED = frozenset(
    {
        "Account", "Asset", "Campaign", "Case", "Contact", "ContentDocument", "Contract", "Event", "Lead",
        "Opportunity", "Product2", "Solution", "Task",
    }
)  # fmt: skip
"""Standard objects with an after undelete event, as custom objects have (Apex guide, Triggers)."""
_LEFT_OUT = re.compile(r"\bLEFT_OUT = new Set<String>\{([^}]*)\}")
_USER = "User"
"""Users can't be deleted. Tests can change the one that runs them, but not rely on creating any."""


def sfdx_project(
    objects: Iterable[str],
    gateway_url: str,
    api_version: str,
    *,
    run_as: str = "",
    left_out: Iterable[str] = (),
    reads_pushes: bool = False,
) -> dict[str, bytes]:
    """Return the files of a Salesforce DX project (source format) by path, for any deployment tool.

    Without `gateway_url` there is no remote site. With `reads_pushes`, permission set RTS_Sync grants Read on
    the event with the pushes, which the channel stream needs.
    `run_as` is the username of rtsd's user, as whom the relay runs: pushes then contain the fields visible to
    that user. Without it, the relay runs as Automated Process, and pushes contain every field. `left_out` are
    mirrored objects that get no trigger on purpose, which the org then remembers (`left_out_of`).
    Raises ValueError for an invalid object name, URL or API version.
    """
    version = apex_version(api_version)
    values = _values(gateway_url, version, run_as=run_as, reads_pushes=reads_pushes)
    tree = {path: content.encode() for path, content in _files(objects, version, values, left_out)}
    tree["sfdx-project.json"] = (json.dumps(_project(version), indent=2) + "\n").encode()
    return dict(sorted(tree.items()))


def _project(version: str) -> dict[str, object]:
    """Return the project's settings (Salesforce DX Developer Guide, Project Configuration File)."""
    core = {
        "path": CORE,
        "default": True,
        "package": PACKAGE,
        "versionName": VERSION,
        "versionNumber": f"{VERSION}.NEXT",
    }
    return {
        "name": "rts",
        "packageDirectories": [core, {"path": GENERATED}],
        "namespace": "",
        "sourceApiVersion": version,
    }


def metadata(
    objects: Iterable[str],
    gateway_url: str,
    api_version: str,
    *,
    run_as: str = "",
    left_out: Iterable[str] = (),
    relay_note: bool = False,
    reads_pushes: bool = False,
) -> dict[str, bytes]:
    """Return the files in metadata format by path, without package.xml. Raises as `sfdx_project`.

    `relay_note` adds RELAY_NOTE to the relay: one that is modified resumes from the tip (Object Reference,
    EventBusSubscriber).
    """
    tree: dict[str, bytes] = {}
    parts: dict[str, dict[str, bytes]] = {}
    version = apex_version(api_version)
    values = _values(gateway_url, version, run_as=run_as, reads_pushes=reads_pushes)
    values["{{note}}"] = f"\n    {RELAY_NOTE}" if relay_note else ""
    for path, content in _files(objects, version, values, left_out):
        inner = path.partition(_INSIDE)[2]
        if inner.startswith("objects/"):
            _, name, rest = inner.split("/", 2)
            parts.setdefault(name, {})[rest] = content.encode()
        elif inner.startswith(("classes/", "triggers/")):
            tree[inner] = content.encode()
        elif inner.startswith("reports/"):  # of a folder the metadata format has nothing but this file
            tree[inner.replace(".reportFolder", "").replace(".report-meta.xml", ".report")] = content.encode()
        else:
            tree[inner.removesuffix("-meta.xml")] = content.encode()
    for name, files in parts.items():
        tree[f"objects/{name}.object"] = _object(files)
    return dict(sorted(tree.items()))


def page(name: str) -> str:
    """Return the template of a page of PAGES, for `str.format`."""
    return resources.files("rtsd.apex").joinpath("pages", name).read_text(encoding="utf-8")


def apex_version(api_version: str) -> str:
    """Return the API version of the Apex. Raises ValueError if `api_version` is invalid or too old."""
    try:
        requested = float(api_version)
    except ValueError:
        raise ValueError(f"{api_version!r} is not an API version such as 66.0") from None
    if not OLDEST_API <= requested < 1000:
        raise ValueError(f"the Salesforce package needs API version {OLDEST_API} or later, not {api_version}")
    return f"{min(requested, NEWEST_API):.1f}"


def origin(gateway_url: str) -> str:
    """Return scheme, host and port of a URL, for a remote site. Raises ValueError for an invalid URL."""
    parts = urlsplit(gateway_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(f"{gateway_url!r} is not a URL such as https://rts.example.com")
    return f"{parts.scheme}://{parts.netloc}"


def left_out_of(triggers_class: str) -> tuple[str, ...]:
    """Return the objects that an installed class RTS_Triggers says were left out on purpose."""
    match = _LEFT_OUT.search(triggers_class)
    return tuple(re.findall(r"'(\w+)'", match[1])) if match else ()


def _values(gateway_url: str, version: str, *, run_as: str, reads_pushes: bool) -> dict[str, str]:
    """Return what the marks in the package data stand for. Without a gateway the remote site's is missing."""
    position, tip = position_fields(version)
    values = {
        "{{version}}": VERSION,
        "{{position}}": position,
        "{{tip}}": tip,
        "{{note}}": "",
        "{{run_as}}": f"\n    <user>{escape(run_as)}</user>" if run_as else "",
        "{{reads_pushes}}": "true" if reads_pushes else "false",
    }
    return {**values, _GATEWAY: escape(origin(gateway_url))} if gateway_url else values


def _files(
    objects: Iterable[str], version: str, values: Mapping[str, str], left_out: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield all files in source format, without those for which a value is missing."""
    triggers = trigger_names(objects)
    for path, template in _package_data().items():
        if _GATEWAY in template and _GATEWAY not in values:
            continue
        content = template
        for mark, value in values.items():
            content = content.replace(mark, value)
        folder, _, inner = path.partition(_INSIDE)
        target = GENERATED if inner.startswith(_PER_ORG) else folder
        yield f"{target}{_INSIDE}{inner}", content
        yield from _companion(path, version)
    generated = {f"triggers/{name}.trigger": _trigger(name, obj) for obj, name in triggers.items()}
    generated[f"classes/{TRIGGERS_CLASS}.cls"] = _catalog(triggers, sorted(left_out))
    generated["classes/RTS_Trigger_Test.cls"] = _tests(triggers)
    for inner, content in generated.items():
        path = f"{GENERATED}{_INSIDE}{inner}"
        yield path, content
        yield from _companion(path, version)


def _object(files: Mapping[str, bytes]) -> bytes:
    """Combine an object's files of the source format into the `.object` file of the metadata format.

    `files` are keyed by path below the object's folder, such as `fields/A__c.field-meta.xml`. Elements are in
    Salesforce's order: by name, and fields by full name.
    """
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(f"{{{NAMESPACE}}}CustomObject")
    children: list[ET.Element] = []
    for path in sorted(files):
        element = ET.fromstring(files[path])  # noqa: S314 - the package's own data
        folder, nested, _ = path.partition("/")
        if nested:
            element.tag = f"{{{NAMESPACE}}}{folder}"
            children.append(element)
        else:
            children += list(element)
    root.extend(sorted(children, key=lambda child: child.tag))
    ET.indent(root, "    ")
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


@cache
def _package_data() -> Mapping[str, str]:
    """Return the package data by path."""
    root = resources.files("rtsd.apex")

    def walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
        for entry in sorted(folder.iterdir(), key=lambda child: child.name):
            path = f"{prefix}/{entry.name}"
            if entry.is_dir():
                yield from walk(entry, path)
            else:
                yield path, entry.read_text(encoding="utf-8")

    return dict(walk(root / "force-app", "force-app"))


def _companion(path: str, version: str) -> Iterator[tuple[str, str]]:
    """Yield the `-meta.xml` of a class or trigger."""
    kind = {"cls": "ApexClass", "trigger": "ApexTrigger"}.get(path.rpartition(".")[2])
    if kind is None:
        return
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<{kind} xmlns="{NAMESPACE}">',
        f"    <apiVersion>{version}</apiVersion>",
        "    <status>Active</status>",
        f"</{kind}>",
    ]
    yield f"{path}-meta.xml", "\n".join([*lines, ""])


def _trigger(name: str, obj: str) -> str:
    """Return the source of a trigger, a single call.

    `before insert`, and `before update` for users, are there for the tests: they precede the checks of
    required fields, validation rules and duplicate rules (Apex Developer Guide, Triggers and Order of
    Execution).
    """
    unsupported = set()
    if obj not in _UNDELETED and not obj.endswith("__c"):
        unsupported.add("after undelete")
    if obj == _USER:
        unsupported.add("after delete")
    wanted = [event for event in _EVENTS if event not in unsupported]
    if obj == _USER:
        wanted.insert(1, "before update")
    events = ", ".join(wanted)
    call = "RTS_Handler.run(Trigger.operationType, Trigger.new, Trigger.old);"
    return f"trigger {name} on {obj} ({events}) {{\n    {call}\n}}\n"


def _catalog(triggers: Mapping[str, str], left_out: Iterable[str]) -> str:
    """Return the class that maps triggers to objects, as TableEnumOrId is an id for custom objects."""
    entries = ",\n".join(f"        '{name}' => '{obj}'" for obj, name in triggers.items())
    body = f"{{\n{entries}\n    }}" if entries else "()"
    names = ", ".join(f"'{obj}'" for obj in left_out)
    left = f"{{ {names} }}" if names else "()"
    return (
        "/** The objects of the triggers. Generated by rtsd. */\n"
        f"public without sharing class {TRIGGERS_CLASS} extends RTS_Catalog {{\n"
        f"    public static final Map<String, String> OBJECTS = new Map<String, String>{body};\n"
        "    /** Mirrored objects without a trigger, as named by `rtsd package deploy --without`. */\n"
        f"    public static final Set<String> LEFT_OUT = new Set<String>{left};\n\n"
        "    public override Map<String, String> objects() {\n"
        "        return OBJECTS;\n"
        "    }\n"
        "}\n"
    )


def _tests(triggers: Mapping[str, str]) -> str:
    """Return a test class that runs every trigger; rules of the org cannot make it fail."""
    methods = "".join(
        f"\n    @IsTest\n    static void {name}() {{\n"
        f"        System.assert(RTS_Test_Saves.exercise('{obj}'), 'the trigger let a save fail');\n    }}\n"
        for obj, name in triggers.items()
    )
    return (
        "/** Runs every trigger once. Generated by rtsd. */\n@IsTest\n"
        "private without sharing class RTS_Trigger_Test {\n"
        "    @IsTest\n    static void knowsTheirObjects() {\n"
        "        Map<String, String> installed = RTS_Catalog.installed().objects();\n"
        f"        System.assertEquals({len(triggers)}, installed.size(), 'triggers');\n"
        "        Set<String> objects = new Set<String>(RTS_Triggers.OBJECTS.values());\n"
        "        System.assert(!objects.removeAll(RTS_Triggers.LEFT_OUT), 'left out');\n"
        f"    }}\n{methods}}}\n"
    )
