"""Deployer: checks a deployment's members against the org, and adds or removes them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtssim.clock import rest_stamp
from rtssim.metadata import elements
from rtssim.metadata.archive import DESTRUCTIVE, Archive, Member, MetadataError, has, parse_xml, text_of
from rtssim.metadata.references import REQUIRED_FILES, References
from rtssim.metadata.sources import object_of, object_permissions, trigger_object

if TYPE_CHECKING:
    from datetime import datetime
    from xml.etree import ElementTree as ET

    from rtssim.org import Org
    from rtssim.schema.model import ObjectType
    from rtssim.switches import ApiSwitches

APEX = ("ApexClass", "ApexTrigger")
FILES = {
    "CustomApplication": ("applications", "app"),
    "Layout": ("layouts", "layout"),
    "Report": ("reports", "report"),
    "ApexClass": ("classes", "cls"),
    "ApexTrigger": ("triggers", "trigger"),
    "CustomObject": ("objects", "object"),
    "CustomPermission": ("customPermissions", "customPermission"),
    "CustomTab": ("tabs", "tab"),
    "PermissionSet": ("permissionsets", "permissionset"),
    "PlatformEventSubscriberConfig": ("PlatformEventSubscriberConfigs", "platformEventSubscriberConfig"),
    "RemoteSiteSetting": ("remoteSiteSettings", "remoteSite"),
}
"""Folder and extension of the files of a type."""
FOLDERS = ("Report",)
"""Types whose components are in folders, which are members of the same type."""
ROWS = {
    "ApexClass": ("ApexClass", "Name"),
    "ApexTrigger": ("ApexTrigger", "Name"),
    "CustomPermission": ("CustomPermission", "DeveloperName"),
    "PermissionSet": ("PermissionSet", "Name"),
    "PlatformEventSubscriberConfig": ("PlatformEventSubscriberConfig", "DeveloperName"),
    "RemoteSiteSetting": ("RemoteProxy", "SiteName"),
}
"""Types whose components are rows: the object, and the field that holds the component's name."""
REQUIRED = {
    **REQUIRED_FILES,
    "PermissionSet": ("label",),
    "PlatformEventSubscriberConfig": ("masterLabel", "platformEventConsumer"),
    "RemoteSiteSetting": ("disableProtocolSecurity", "isActive", "url"),
}
REMOVAL_ORDER = ("ApexTrigger", "ApexClass")
JOBS_PENDING = "This schedulable class has jobs pending or in progress"
_NO_CODE = re.compile(r"'(?:[^'\\\n]|\\.)*'|/\*.*?\*/|//[^\n]*", re.DOTALL)
"""Strings and comments."""
JOB_USES = "Async Apex Job"
REFERENCED = (
    "This {kind} is referenced elsewhere in salesforce.com. Remove the usage and try again. : {users}"
)
ASSIGNED = "You can't delete this permission set because it is assigned to users"


@dataclass
class Component:
    """A component of a deployment and its outcome."""

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
            "createdDate": rest_stamp(at),
        }


class Deployer:
    """Checks archives against the org and applies them."""

    def __init__(self, org: Org, switches: ApiSwitches) -> None:
        self._org = org
        self._switches = switches
        self._system = org.sync_user
        self._others: set[Member] = set()  # tabs and the like, known by name only

    # -- check --------------------------------------------------------------------------------------
    def check(self, archive: Archive) -> list[Component]:
        """Return each component with its problem, if any, without a change to the org."""
        objects = {member.name for member in archive.added if member.type == "CustomObject"}
        self._references = References(self._all_objects(archive), self._exists, set(archive.added))
        added = [self._check_addition(member, archive, objects) for member in archive.added]
        added += [_not_named(path) for path in _unnamed(archive)]
        return added + [self._check_removal(member, archive) for member in archive.removed]

    def _check_removal(self, member: Member, archive: Archive) -> Component:
        kind, name = member.type, member.name
        component = Component(kind, name, "destructiveChanges.xml", deleted=True)
        if not self._exists(member):
            component.problem = f"No {kind} named: {name} found"
            component.warning = True
        elif kind == "ApexClass" and self._has_jobs(name):
            used = self._switches.class_with_job == "referenced"
            component.problem = REFERENCED.format(kind="apex class", users=JOB_USES) if used else JOBS_PENDING
        elif kind == "PermissionSet" and self._is_assigned(name):
            component.problem = ASSIGNED
        elif kind == "ApexClass" and (users := self._users_of(name, archive)):
            component.problem = REFERENCED.format(kind="apex class", users=", ".join(users))
        return component

    def _users_of(self, name: str, archive: Archive) -> list[str]:
        """Return the classes and triggers that name a class, other than as text, and stay in the org."""
        going = set(archive.removed)
        return [
            f"{label} - {user}"
            for kind, label in (("ApexClass", "Apex Class"), ("ApexTrigger", "Apex Trigger"))
            for user, body in self._org.query(self._system, f"SELECT Name, Body FROM {kind}").rows()
            if user != name
            and Member(kind, user) not in going
            and re.search(rf"\b{name}\b", _NO_CODE.sub(" ", body or ""))
        ]

    def _check_addition(self, member: Member, archive: Archive, objects: set[str]) -> Component:
        kind, name = member.type, member.name
        path = _path(member)
        component = Component(kind, name, path, created=not self._exists(member))
        if kind == "CustomField":
            return component
        if path not in archive.files:
            matching = [file for file in archive.files if file.rpartition("/")[2].startswith(f"{name}.")]
            if kind in FILES or not matching:
                component.problem = (
                    f"An object '{name}' of type {kind} was named in package.xml,"
                    " but was not found in zipped directory"
                )
            return component
        try:
            component.problem = self._content_problem(member, archive, objects)
        except MetadataError as problem:
            component.problem = str(problem)
        return component

    def _content_problem(self, member: Member, archive: Archive, objects: set[str]) -> str | None:
        kind, name, path = member.type, member.name, _path(member)
        content = archive.files[path]
        if kind not in APEX:
            root = parse_xml(content, name)
            wrong = next(elements.problems(root, kind), None)
            if wrong is not None:
                return wrong
            if kind == "CustomObject":
                object_of(name, content, "a0z")
            return self._xml_problem(member, root)
        if f"{path}-meta.xml" not in archive.files:
            return f"{name}.{FILES[kind][1]}-meta.xml is missing"
        if kind == "ApexClass" and self._has_jobs(name):
            return JOBS_PENDING
        if kind == "ApexTrigger":
            target = trigger_object(content)
            if target is None or (target not in objects and not self._has_object(target)):
                return f"Invalid type: {target}"
        return None

    def _all_objects(self, archive: Archive) -> dict[str, ObjectType | None]:
        """Return the objects of the org, and those of an archive, as far as they can be read."""
        found: dict[str, ObjectType | None] = {obj.name: obj for obj in self._org.schema}
        for member in archive.added:
            if member.type == "CustomObject" and _path(member) in archive.files:
                with suppress(MetadataError):
                    found[member.name] = object_of(member.name, archive.files[_path(member)], "a0z")
        return found

    def _xml_problem(self, member: Member, root: ET.Element) -> str | None:
        kind = member.type
        missing = [part for part in REQUIRED.get(kind, ()) if not has(root, part)]
        if missing and not _is_folder(member):
            return f"Required field is missing: {missing[0]}"
        username = text_of(root, "user") if kind == "PlatformEventSubscriberConfig" else ""
        if username and self._user_id(username) is None:
            return f"In field: user - no User named {username} found"
        return self._references.problem(member, root)

    # -- the org's components -----------------------------------------------------------------------
    def _exists(self, member: Member) -> bool:
        if member.type == "CustomObject":
            return self._has_object(member.name)
        if member.type == "CustomField":
            obj, _, column = member.name.partition(".")
            return self._has_object(obj) and column in self._columns(obj)
        if _is_folder(member):
            return bool(self._folder_ids(member))
        if member.type in ROWS:
            return bool(self._row_ids(member))
        return member in self._others

    def _has_object(self, name: str) -> bool:
        return any(entry["name"] == name for entry in self._org.describe_global(self._system))

    def _columns(self, obj: str) -> set[str]:
        return {field["name"] for field in self._org.describe(self._system, obj)[0]["fields"]}

    def _has_jobs(self, name: str) -> bool:
        unfinished = "('Holding', 'Queued', 'Preparing', 'Processing')"
        soql = f"SELECT Id FROM AsyncApexJob WHERE ApexClass.Name = '{name}' AND Status IN {unfinished}"
        return bool(self._org.first_column(soql))

    def _is_assigned(self, name: str) -> bool:
        soql = f"SELECT Id FROM PermissionSetAssignment WHERE PermissionSet.Name = '{name}'"
        return bool(self._org.first_column(soql))

    def _folder_ids(self, member: Member) -> list[str]:
        return self._org.first_column(f"SELECT Id FROM Folder WHERE DeveloperName = '{member.name}'")

    def _user_id(self, username: str) -> str | None:
        """Return the id of an active user (Platform Events Guide: a trigger runs as any active user)."""
        name = username.replace("'", "\\'")
        found = self._org.first_column(f"SELECT Id FROM User WHERE Username = '{name}' AND IsActive = true")
        return str(found[0]) if found else None

    def _row_ids(self, member: Member) -> list[str]:
        target, column = ROWS[member.type]
        return self._org.first_column(f"SELECT Id FROM {target} WHERE {column} = '{member.name}'")

    # -- apply --------------------------------------------------------------------------------------
    def apply(self, archive: Archive) -> None:
        """Apply a checked archive: removals first, then objects, then everything that refers to them."""
        for member in sorted(archive.removed, key=_removal_rank):
            if self._exists(member):
                self._remove(member)
        for member in archive.added:
            if member.type == "CustomObject":
                self._put_object(member.name, archive.files[_path(member)])
        for member in archive.added:
            if _is_folder(member):
                self._put_folder(member, archive.files[_path(member)])
            elif member.type in ROWS:
                self._put_row(member, self._values(member, archive))
                if member.type == "PermissionSet":
                    self._put_object_permissions(member, archive.files[_path(member)])
            elif member.type not in ("CustomObject", "CustomField"):
                self._others.add(member)

    def _remove(self, member: Member) -> None:
        if member.type == "CustomObject":
            self._org.remove_object(member.name)
        elif member.type == "CustomField":
            obj, _, column = member.name.partition(".")
            self._org.remove_field(obj, column)
        elif _is_folder(member):
            if self._switches.destructive_changes_delete_folders:
                self._org.hard_delete(self._system, "Folder", self._folder_ids(member))[0].unwrap()
        elif member.type in ROWS:
            self._org.hard_delete(self._system, ROWS[member.type][0], self._row_ids(member))
        else:
            self._others.discard(member)

    def _put_folder(self, member: Member, content: bytes) -> None:
        if not self._exists(member):
            label = text_of(parse_xml(content, member.name), "name")
            row = {"DeveloperName": member.name, "Name": label, "Type": member.type}
            self._org.create(self._system, "Folder", [row])[0].unwrap()

    def _put_object(self, name: str, content: bytes) -> None:
        described = object_of(name, content, self._org.schema.free_prefix())
        if not self._has_object(name):
            self._org.add_object(described)
            return
        known = self._columns(name)
        for column in described.fields.values():
            if column.custom and column.name not in known:
                self._org.add_field(name, column)

    def _values(self, member: Member, archive: Archive) -> dict[str, Any]:
        """Return the values of a component's row, without its name."""
        path = _path(member)
        content = archive.files[path]
        if member.type == "PermissionSet":
            return {"Label": text_of(parse_xml(content, member.name), "label", member.name)}
        if member.type == "CustomPermission":
            return {"MasterLabel": text_of(parse_xml(content, member.name), "label", member.name)}
        if member.type == "PlatformEventSubscriberConfig":
            root = parse_xml(content, member.name)
            user = self._user_id(text_of(root, "user"))
            label = text_of(root, "masterLabel")
            return {
                "MasterLabel": label,
                "UserId": user,
                "BatchSize": int(text_of(root, "batchSize", "2000")),
            }
        if member.type == "RemoteSiteSetting":
            root = parse_xml(content, member.name)
            return {"EndpointUrl": text_of(root, "url"), "IsActive": text_of(root, "isActive") == "true"}
        meta = parse_xml(archive.files[f"{path}-meta.xml"], member.name)
        values: dict[str, Any] = {
            "Body": content.decode(errors="replace"),
            "Status": text_of(meta, "status", "Active"),
            "ApiVersion": int(float(text_of(meta, "apiVersion", "62.0"))),
        }
        if member.type == "ApexTrigger":
            values["TableEnumOrId"] = trigger_object(content)
        return values

    def _put_object_permissions(self, member: Member, content: bytes) -> None:
        """Replace what a permission set grants on objects (Metadata API guide, PermissionSet)."""
        (parent,) = self._row_ids(member)
        known = self._org.first_column(f"SELECT Id FROM ObjectPermissions WHERE ParentId = '{parent}'")
        if known:
            self._org.hard_delete(self._system, "ObjectPermissions", known)
        rows = [
            {"ParentId": parent, **granted} for granted in object_permissions(parse_xml(content, member.name))
        ]
        if rows:
            self._org.create(self._system, "ObjectPermissions", rows)

    def _put_row(self, member: Member, values: dict[str, Any]) -> None:
        target, column = ROWS[member.type]
        known = self._row_ids(member)
        if known:
            self._org.update(self._system, target, [{**values, "Id": known[0]}])[0].unwrap()
        else:
            self._org.create(self._system, target, [{**values, column: member.name}])[0].unwrap()


def _is_folder(member: Member) -> bool:
    return member.type in FOLDERS and "/" not in member.name


def _path(member: Member) -> str:
    if _is_folder(member):
        return f"{FILES[member.type][0]}/{member.name}-meta.xml"
    folder, extension = FILES.get(member.type, (member.type, member.type))
    return f"{folder}/{member.name}.{extension}"


def _not_named(path: str) -> Component:
    folder, _, file = path.rpartition("/")
    kinds = {folder: kind for kind, (folder, _) in FILES.items()}
    return Component(kinds.get(folder, ""), file.partition(".")[0], path, problem="Not in package.xml")


def _unnamed(archive: Archive) -> list[str]:
    """Return the files of an archive that its package.xml does not name."""
    named = {_path(member) for member in archive.added}
    manifests = {"package.xml", *DESTRUCTIVE}
    return sorted(
        path
        for path in archive.files
        if path not in manifests and path not in named and path.removesuffix("-meta.xml") not in named
    )


def _removal_rank(member: Member) -> int:
    return REMOVAL_ORDER.index(member.type) if member.type in REMOVAL_ORDER else len(REMOVAL_ORDER)
