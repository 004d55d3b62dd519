"""What a metadata zip says and what the org makes of it: objects, fields, classes, triggers."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from rtssim.schema import fields as make
from rtssim.schema.model import Field, ObjectType
from rtssim.switchboard.administration import free_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from rtssim.org import Org

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
APEX = {"ApexClass": ("classes", "cls"), "ApexTrigger": ("triggers", "trigger")}
FILES = {
    **APEX,
    "CustomObject": ("objects", "object"),
    "PermissionSet": ("permissionsets", "permissionset"),
    "RemoteSiteSetting": ("remoteSiteSettings", "remoteSite"),
}
ROWS = {"PermissionSet": ("PermissionSet", "Name"), "RemoteSiteSetting": ("RemoteProxy", "SiteName")}
"""Components that a query finds: the object, and the field that has their name."""
REQUIRED = {"PermissionSet": ("label",), "RemoteSiteSetting": ("disableProtocolSecurity", "isActive", "url")}
JOBS_PENDING = "This schedulable class has jobs pending or in progress"
ASSIGNED = "You can't delete this permission set because it is assigned to users"
DESTRUCTIVE = ("destructiveChanges.xml", "destructiveChangesPre.xml", "destructiveChangesPost.xml")


class MetadataError(Exception):
    """A zip that the org can't read at all."""


@dataclass
class Component:
    """One component of a deployment and what became of it."""

    type: str
    name: str
    file: str
    deleted: bool = False
    created: bool = False
    problem: str | None = None
    warning: bool = False

    def message(self, at: datetime) -> dict[str, Any]:
        """Return the DeployMessage."""
        return {
            "componentType": self.type,
            "fullName": self.name,
            "fileName": self.file,
            "success": self.problem is None or self.warning,
            "problem": self.problem,
            "problemType": None if self.problem is None else ("Warning" if self.warning else "Error"),
            "lineNumber": None,
            "columnNumber": None,
            "changed": True,
            "created": self.created,
            "deleted": self.deleted,
            "createdDate": at.strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        }


@dataclass
class Bundle:
    """The content of a zip: members to add and to remove, by type, and the files."""

    added: list[tuple[str, str]]
    removed: list[tuple[str, str]]
    files: dict[str, bytes] = field(repr=False)


def read_zip(content: bytes) -> Bundle:
    """Read a deployment's zip; raises `MetadataError` where there is no package.xml or no XML in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    except zipfile.BadZipFile as problem:
        raise MetadataError("The zip file could not be read") from problem
    if "package.xml" not in files:
        raise MetadataError("No package.xml found")
    removed = [member for name in DESTRUCTIVE if name in files for member in _members(files[name], name)]
    return Bundle(_members(files["package.xml"], "package.xml"), removed, files)


def _members(content: bytes, name: str) -> list[tuple[str, str]]:
    root = _xml(content, name)
    found = []
    for types in root.iter(f"{NAMESPACE}types"):
        kind = types.findtext(f"{NAMESPACE}name", "")
        found += [(kind, member.text or "") for member in types.iter(f"{NAMESPACE}members")]
    return found


def _xml(content: bytes, name: str) -> ET.Element:
    try:
        return ET.fromstring(content)  # noqa: S314 - a test org on the loopback
    except ET.ParseError as problem:
        raise MetadataError(f"{name}: Error parsing file: {problem}") from problem


class Deployer:
    """Checks bundles against the org and applies them."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._system = org.sync_user
        self.others: set[tuple[str, str]] = set()  # tabs and the like: known by name alone

    # -- check --------------------------------------------------------------------------------------
    def check(self, bundle: Bundle) -> list[Component]:
        """Return each component with its problem, if any; changes nothing."""
        objects = {name for kind, name in bundle.added if kind == "CustomObject"}
        components = [self._check_one(kind, name, bundle, objects) for kind, name in bundle.added]
        for kind, name in bundle.removed:
            component = Component(kind, name, "destructiveChanges.xml", deleted=True)
            if not self._exists(kind, name):
                component.problem = f"No {kind} named: {name} found"
                component.warning = True
            elif (kind == "ApexClass" and self._has_jobs(name)) or self._is_assigned(kind, name):
                component.problem = JOBS_PENDING if kind == "ApexClass" else ASSIGNED
            components.append(component)
        return components

    def _check_one(self, kind: str, name: str, bundle: Bundle, objects: set[str]) -> Component:
        folder, ending = FILES.get(kind, (kind, kind))
        file = f"{folder}/{name}.{ending}"
        component = Component(kind, name, file, created=not self._exists(kind, name))
        if kind == "CustomField":
            return component
        if file not in bundle.files:
            matching = [path for path in bundle.files if path.rpartition("/")[2].startswith(f"{name}.")]
            if kind in FILES or not matching:
                component.problem = (
                    f"An object '{name}' of type {kind} was named in package.xml, but was not found"
                )
            return component
        try:
            component.problem = self._content_problem(kind, name, bundle, objects)
        except MetadataError as problem:
            component.problem = str(problem)
        return component

    def _content_problem(self, kind: str, name: str, bundle: Bundle, objects: set[str]) -> str | None:
        folder, ending = FILES[kind]
        content = bundle.files[f"{folder}/{name}.{ending}"]
        if kind not in APEX:
            root = _xml(content, name)
            if kind == "CustomObject":
                _object_of(name, content, "a0z")
            missing = [part for part in REQUIRED.get(kind, ()) if root.find(f"{NAMESPACE}{part}") is None]
            return f"Required field is missing: {missing[0]}" if missing else None
        if f"{folder}/{name}.{ending}-meta.xml" not in bundle.files:
            return f"{name}.{ending}-meta.xml is missing"
        if kind == "ApexClass" and self._has_jobs(name):
            return JOBS_PENDING
        if kind == "ApexTrigger":
            target = _trigger_object(content)
            if target is None or (target not in objects and not self._exists("CustomObject", target)):
                return f"Invalid type: {target}"
        return None

    def _exists(self, kind: str, name: str) -> bool:
        if kind == "CustomObject":
            return any(entry["name"] == name for entry in self._org.describe_global(self._system))
        if kind == "CustomField":
            obj, _, column = name.partition(".")
            if not self._exists("CustomObject", obj):
                return False
            return any(f["name"] == column for f in self._org.describe(self._system, obj)[0]["fields"])
        if kind in APEX:
            return bool(self._apex_ids(kind, name))
        if kind in ROWS:
            return bool(self._row_ids(kind, name))
        return (kind, name) in self.others

    def _has_jobs(self, name: str) -> bool:
        under_way = "('Holding', 'Queued', 'Preparing', 'Processing')"
        soql = f"SELECT Id FROM AsyncApexJob WHERE ApexClass.Name = '{name}' AND Status IN {under_way}"  # noqa: S608
        return bool(list(self._org.query(self._system, soql).rows()))

    def _is_assigned(self, kind: str, name: str) -> bool:
        if kind != "PermissionSet":
            return False
        soql = f"SELECT Id FROM PermissionSetAssignment WHERE PermissionSet.Name = '{name}'"  # noqa: S608 - SOQL
        return bool(list(self._org.query(self._system, soql).rows()))

    def _row_ids(self, kind: str, name: str) -> list[str]:
        target, column = ROWS[kind]
        soql = f"SELECT Id FROM {target} WHERE {column} = '{name}'"  # noqa: S608 - SOQL
        return [row[0] for row in self._org.query(self._system, soql).rows()]

    def _put_row(self, kind: str, name: str, content: bytes) -> None:
        root = _xml(content, name)
        target, column = ROWS[kind]
        if kind == "PermissionSet":
            values: dict[str, Any] = {"Label": root.findtext(f"{NAMESPACE}label", name)}
        else:
            values = {
                "EndpointUrl": root.findtext(f"{NAMESPACE}url", ""),
                "IsActive": root.findtext(f"{NAMESPACE}isActive") == "true",
            }
        known = self._row_ids(kind, name)
        if known:
            self._org.update(self._system, target, [{**values, "Id": known[0]}])[0].unwrap()
        else:
            self._org.create(self._system, target, [{**values, column: name}])[0].unwrap()

    def _apex_ids(self, kind: str, name: str) -> list[str]:
        found = self._org.query(self._system, f"SELECT Id FROM {kind} WHERE Name = '{name}'")  # noqa: S608 - SOQL
        return [row[0] for row in found.rows()]

    # -- apply --------------------------------------------------------------------------------------
    def apply(self, bundle: Bundle) -> None:
        """Make the bundle part of the org, as far as it was checked."""
        order = ["ApexTrigger", "ApexClass"]
        for kind, name in sorted(bundle.removed, key=lambda m: order.index(m[0]) if m[0] in order else 2):
            self._remove(kind, name)
        for kind, name in bundle.added:
            if kind == "CustomObject":
                self._put_object(name, bundle.files[f"objects/{name}.object"])
        for kind, name in bundle.added:
            if kind in APEX:
                self._put_apex(kind, name, bundle)
            elif kind in ROWS:
                folder, ending = FILES[kind]
                self._put_row(kind, name, bundle.files[f"{folder}/{name}.{ending}"])
            elif kind not in ("CustomObject", "CustomField"):
                self.others.add((kind, name))

    def _remove(self, kind: str, name: str) -> None:
        if not self._exists(kind, name):
            return
        if kind == "CustomObject":
            self._org.remove_object(name)
        elif kind == "CustomField":
            obj, _, column = name.partition(".")
            self._org.remove_field(obj, column)
        elif kind in APEX:
            self._org.hard_delete(self._system, kind, self._apex_ids(kind, name))
        elif kind in ROWS:
            self._org.hard_delete(self._system, ROWS[kind][0], self._row_ids(kind, name))
        else:
            self.others.discard((kind, name))

    def _put_object(self, name: str, content: bytes) -> None:
        described = _object_of(name, content, free_prefix(self._org))
        if not self._exists("CustomObject", name):
            self._org.add_object(described)
            return
        known = {f["name"] for f in self._org.describe(self._system, name)[0]["fields"]}
        for column in described.fields.values():
            if column.custom and column.name not in known:
                self._org.add_field(name, column)

    def _put_apex(self, kind: str, name: str, bundle: Bundle) -> None:
        folder, ending = FILES[kind]
        content = bundle.files[f"{folder}/{name}.{ending}"]
        meta = _xml(bundle.files[f"{folder}/{name}.{ending}-meta.xml"], name)
        row: dict[str, Any] = {
            "Name": name,
            "Body": content.decode(errors="replace"),
            "Status": meta.findtext(f"{NAMESPACE}status", "Active"),
            "ApiVersion": int(float(meta.findtext(f"{NAMESPACE}apiVersion", "62.0"))),
        }
        if kind == "ApexTrigger":
            row["TableEnumOrId"] = _trigger_object(content)
        known = self._apex_ids(kind, name)
        if known:
            self._org.update(self._system, kind, [{**row, "Id": known[0]}])
        else:
            self._org.create(self._system, kind, [row])


def _trigger_object(content: bytes) -> str | None:
    words = content.decode(errors="replace").split()
    for index, word in enumerate(words[:-1]):
        if word.lower() == "on":
            return words[index + 1].partition("(")[0]
    return None


def _object_of(name: str, content: bytes, prefix: str) -> ObjectType:
    """Return the object that a `.object` file describes."""
    root = _xml(content, name)
    setting = root.findtext(f"{NAMESPACE}customSettingsType") is not None
    columns: list[Field] = [make.ident()]
    if setting:
        columns.append(make.text("Name", 80, name_field=True))
        columns.append(
            make.reference("SetupOwnerId", "Organization;Profile;User", None, "keep", nillable=False)
        )
    else:
        columns.append(make.reference("OwnerId", "Group;User", None, "keep", nillable=False, default="$user"))
        numbered = root.findtext(f"{NAMESPACE}nameField/{NAMESPACE}type") == "AutoNumber"
        label = root.findtext(f"{NAMESPACE}nameField/{NAMESPACE}label", "Name")
        columns.append(
            make.auto_number("Name", label) if numbered else make.text("Name", 80, name_field=True)
        )
    columns += make.audit()
    columns += [_field_of(name, element) for element in root.findall(f"{NAMESPACE}fields")]
    label = root.findtext(f"{NAMESPACE}label", make.label_of(name))
    plural = root.findtext(f"{NAMESPACE}pluralLabel", label)
    return ObjectType(
        name,
        label,
        plural,
        prefix,
        {f.name: f for f in columns},
        custom_setting=setting,
        undeletable=not setting,
    )


_MAKERS: dict[str, Callable[..., Field]] = {
    "Text": make.text,
    "TextArea": make.area,
    "LongTextArea": make.area,
    "Html": make.area,
    "Checkbox": make.checkbox,
    "Currency": make.money,
    "Percent": make.percent,
    "Date": make.date,
    "DateTime": make.moment,
    "Time": make.time_of_day,
    "Email": make.email,
    "Phone": make.phone,
    "Url": make.url,
    "Number": make.number,
}


def _field_of(owner: str, element: ET.Element) -> Field:
    """Return the field that a `<fields>` element describes; raises `MetadataError` for an unknown type."""
    name = element.findtext(f"{NAMESPACE}fullName", "")
    kind = element.findtext(f"{NAMESPACE}type", "")
    maker = _MAKERS.get(kind)
    if kind in ("Lookup", "MasterDetail"):
        made = make.reference(name, element.findtext(f"{NAMESPACE}referenceTo", ""))
    elif kind == "Picklist":
        values: Sequence[str] = [e.text or "" for e in element.iter(f"{NAMESPACE}fullName")][1:]
        made = make.picklist(name, ";".join(values))
    elif maker is None or not name:
        raise MetadataError(f"{owner}.{name}: unknown field type {kind!r}")
    elif kind in ("Text", "TextArea", "LongTextArea", "Html"):
        made = maker(name, int(element.findtext(f"{NAMESPACE}length", "255")))
    elif kind == "Checkbox":
        made = maker(name, default=element.findtext(f"{NAMESPACE}defaultValue", "false") == "true")
    elif kind in ("Number", "Currency", "Percent"):
        precision, scale = (
            int(element.findtext(f"{NAMESPACE}{part}", "0")) for part in ("precision", "scale")
        )
        made = maker(name, precision or 18, scale)
    else:
        made = maker(name)
    return replace(
        made,
        label=element.findtext(f"{NAMESPACE}label", made.label),
        external_id=element.findtext(f"{NAMESPACE}externalId") == "true",
        unique=element.findtext(f"{NAMESPACE}unique") == "true",
        nillable=made.nillable and element.findtext(f"{NAMESPACE}required") != "true",
    )
