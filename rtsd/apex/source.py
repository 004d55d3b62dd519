"""The package's source for one org, as a Salesforce DX project and in metadata format.

Files that are the same everywhere are package data; per org come a trigger per object, what those
triggers' tests need, and the remote site.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from rtsd.apex.names import trigger_names
from rtsd.apex.objects import compose

VERSION = "1.0.0"
"""The package's version, in every push as `pkg`."""

NEWEST_API = 66.0
"""From 67 on, Apex that says nothing runs in user mode (Apex versioned behaviour): ours never gets there."""
OLDEST_API = 62.0
"""What the Apex needs at least: `UUID`, `Database.queryWithBinds` and access levels."""

TEST_CLASSES = ("RTS_Test", "RTS_Sending_Test", "RTS_Trigger_Test")
"""For `runTests`: together they cover every class and trigger of the package."""

DEFAULT = "force-app/main/default/"
_NAMESPACE = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
_EVENTS = ("before insert", "after insert", "after update", "after delete", "after undelete")
_UNDELETED = frozenset(
    {
        "Account", "Asset", "Campaign", "Case", "Contact", "ContentDocument", "Contract", "Event", "Lead",
        "Opportunity", "Product2", "Solution", "Task",
    }
)  # fmt: skip
"""Standard objects with an after undelete event, besides all custom ones (Apex guide, Triggers)."""
_NEVER_DELETED = frozenset({"User"})


def sfdx_project(
    objects: Iterable[str], gateway_url: str, api_version: str, *, run_as: str = ""
) -> dict[str, bytes]:
    """Return the files of a Salesforce DX project (source format) by path, for any deployment tool.

    `run_as` is the username of rtsd's user, as whom the relay is to run: pushes then hold the fields which
    that user may see. Without it, the relay runs as Automated Process, and they hold every field.
    Raises ValueError for an object's or a URL's impossible name and an unknown version.
    """
    version = apex_version(api_version)
    tree = {path: content.encode() for path, content in _files(objects, gateway_url, version, run_as)}
    project = {
        "name": "rts",
        "packageDirectories": [{"path": "force-app", "default": True}],
        "namespace": "",
        "sourceApiVersion": version,
    }
    tree["sfdx-project.json"] = (json.dumps(project, indent=2) + "\n").encode()
    return dict(sorted(tree.items()))


def metadata(
    objects: Iterable[str], gateway_url: str, api_version: str, *, run_as: str = ""
) -> dict[str, bytes]:
    """Return the same files in metadata format by path, without package.xml; raises like `sfdx_project`."""
    tree: dict[str, bytes] = {}
    parts: dict[str, dict[str, bytes]] = {}
    for path, content in _files(objects, gateway_url, apex_version(api_version), run_as):
        inner = path.removeprefix(DEFAULT)
        if inner.startswith("objects/"):
            _, name, rest = inner.split("/", 2)
            parts.setdefault(name, {})[rest] = content.encode()
        elif inner.startswith(("classes/", "triggers/")):
            tree[inner] = content.encode()
        else:
            tree[inner.removesuffix("-meta.xml")] = content.encode()
    for name, files in parts.items():
        tree[f"objects/{name}.object"] = compose(files)
    return dict(sorted(tree.items()))


def apex_version(api_version: str) -> str:
    """Return the API version the Apex is compiled at; raises ValueError where it is none or too old."""
    try:
        asked = float(api_version)
    except ValueError:
        raise ValueError(f"{api_version!r} is not an API version such as 66.0") from None
    if not OLDEST_API <= asked < 1000:
        raise ValueError(f"the Salesforce package needs API version {OLDEST_API} or later, not {api_version}")
    return f"{min(asked, NEWEST_API):.1f}"


def origin(gateway_url: str) -> str:
    """Return scheme, host and port of a URL: what a remote site is; raises ValueError for what is no URL."""
    parts = urlsplit(gateway_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(f"{gateway_url!r} is not a URL such as https://rts.example.com")
    return f"{parts.scheme}://{parts.netloc}"


def _files(objects: Iterable[str], gateway_url: str, version: str, run_as: str) -> Iterator[tuple[str, str]]:
    """Yield every file in source format."""
    triggers = trigger_names(objects)
    values = {
        "{{version}}": VERSION,
        "{{gateway}}": escape(origin(gateway_url)),
        "{{run_as}}": f"\n    <user>{escape(run_as)}</user>" if run_as else "",
    }
    for path, template in _shipped().items():
        content = template
        for mark, value in values.items():
            content = content.replace(mark, value)
        yield path, content
        yield from _companion(path, version)
    generated = {f"triggers/{name}.trigger": _trigger(name, obj) for obj, name in triggers.items()}
    generated["classes/RTS_Triggers.cls"] = _catalog(triggers)
    generated["classes/RTS_Trigger_Test.cls"] = _tests(triggers)
    for inner, content in generated.items():
        yield DEFAULT + inner, content
        yield from _companion(inner, version)


@cache
def _shipped() -> Mapping[str, str]:
    """Return the package data by path."""
    root = resources.files("rtsd.apex")

    def walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
        for entry in sorted(folder.iterdir(), key=lambda e: e.name):
            path = f"{prefix}/{entry.name}"
            if entry.is_dir():
                yield from walk(entry, path)
            else:
                yield path, entry.read_text(encoding="utf-8")

    return dict(walk(root / "force-app", "force-app"))


def _companion(path: str, version: str) -> Iterator[tuple[str, str]]:
    """Yield the `-meta.xml` that every class and trigger has."""
    kind = {"cls": "ApexClass", "trigger": "ApexTrigger"}.get(path.rpartition(".")[2])
    if kind is None:
        return
    full = path if path.startswith(DEFAULT) else DEFAULT + path
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<{kind} {_NAMESPACE}>",
        f"    <apiVersion>{version}</apiVersion>",
        "    <status>Active</status>",
        f"</{kind}>",
    ]
    yield f"{full}-meta.xml", "\n".join([*lines, ""])


def _trigger(name: str, obj: str) -> str:
    """Return the trigger: one line, no logic; `before insert` alone fires where a validation rule says no."""
    refused = set()
    if obj not in _UNDELETED and not obj.endswith("__c"):
        refused.add("after undelete")
    if obj in _NEVER_DELETED:
        refused.add("after delete")
    events = ", ".join(event for event in _EVENTS if event not in refused)
    call = "RTS_Handler.run(Trigger.operationType, Trigger.new, Trigger.old);"
    return f"trigger {name} on {obj} ({events}) {{\n    {call}\n}}\n"


def _catalog(triggers: Mapping[str, str]) -> str:
    """Return the class that knows which trigger is whose: TableEnumOrId is an id for custom objects."""
    entries = ",\n".join(f"        '{name}' => '{obj}'" for obj, name in triggers.items())
    body = f"{{\n{entries}\n    }}" if entries else "()"
    return (
        "/** Which trigger belongs to which object. Generated by rtsd. */\n"
        "public without sharing class RTS_Triggers {\n"
        f"    public static final Map<String, String> OBJECTS = new Map<String, String>{body};\n}}\n"
    )


def _tests(triggers: Mapping[str, str]) -> str:
    """Return a test for each trigger; none can fail by a rule of the org's own."""
    methods = "".join(
        f"\n    @IsTest\n    static void {name}() {{\n"
        f"        System.assert(RTS_Test_Rows.exercise('{obj}'), 'the trigger let a save fail');\n    }}\n"
        for obj, name in triggers.items()
    )
    return (
        "/** Fires every trigger once. Generated by rtsd. */\n@IsTest\n"
        "private without sharing class RTS_Trigger_Test {\n"
        "    @IsTest\n    static void knowsTheirObjects() {\n"
        f"        System.assertEquals({len(triggers)}, RTS_Triggers.OBJECTS.size(), 'triggers');\n"
        f"    }}\n{methods}}}\n"
    )
