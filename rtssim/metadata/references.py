"""References of metadata files to other components, each of which must be in the archive or in the org.

(Metadata API guide: CustomApplication, CustomTab, Layout, PermissionSet,
PlatformEventSubscriberConfig, Report.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtssim.metadata.archive import NAMESPACE, Member, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from xml.etree import ElementTree as ET

    from rtssim.schema.model import Field, ObjectType

REPORT_TYPE = "CustomEntity$"  # of an object alone; others are not looked into
REPORT_COLUMNS = ("CUST_NAME", "CUST_CREATED_DATE")
PERMISSIONS = (
    ("applicationVisibilities", "application", "CustomApplication"),
    ("customPermissions", "name", "CustomPermission"),
    ("customSettingAccesses", "name", "CustomObject"),
    ("objectPermissions", "object", "CustomObject"),
    ("tabSettings", "tab", "CustomTab"),
)
"""Parts of a permission set, the element in them that names a component, and its type; fields apart."""
REQUIRED_FILES = {
    "CustomApplication": ("label",),
    "Report": ("format", "name", "reportType"),
}


class References:
    """The components that a deployment may refer to: its own, and those of the org."""

    def __init__(
        self, objects: Mapping[str, ObjectType | None], exists: Callable[[Member], bool], added: set[Member]
    ) -> None:
        self._objects = objects
        self._exists = exists
        self._added = added

    def problem(self, member: Member, root: ET.Element) -> str | None:
        """Return the first reference of a component to something that is not there."""
        check = {
            "CustomApplication": self._of_app,
            "CustomTab": self._of_tab,
            "Layout": self._of_layout,
            "PermissionSet": self._of_permission_set,
            "PlatformEventSubscriberConfig": self._of_relay,
            "Report": self._of_report,
        }.get(member.type)
        return None if check is None else next(check(member.name, root), None)

    def _is_there(self, kind: str, name: str) -> bool:
        member = Member(kind, name)
        return member in self._added or self._exists(member)

    def _field(self, obj: str, name: str) -> Field | None:
        described = self._objects.get(obj)
        return None if described is None else described.fields.get(name)

    def _of_app(self, _name: str, root: ET.Element) -> Iterator[str]:
        for tab in root.iter(f"{NAMESPACE}tabs"):
            name = tab.text or ""
            if not name.startswith("standard-") and not self._is_there("CustomTab", name):
                yield f"In field: tab - no CustomTab named {name} found"

    def _of_tab(self, name: str, _root: ET.Element) -> Iterator[str]:
        if not self._is_there("CustomObject", name):
            yield f"In field: customObject - no CustomObject named {name} found"

    def _of_relay(self, _name: str, root: ET.Element) -> Iterator[str]:
        consumer = text_of(root, "platformEventConsumer")
        if not self._is_there("ApexTrigger", consumer):
            yield f"In field: platformEventConsumer - no ApexTrigger named {consumer} found"

    def _of_report(self, name: str, root: ET.Element) -> Iterator[str]:
        folder, _, report = name.partition("/")
        if not report:
            return
        if not self._is_there("Report", folder):
            yield f"Cannot find folder:{folder}"
        obj = text_of(root, "reportType").removeprefix(REPORT_TYPE)
        if self._objects.get(obj) is None:
            yield f"reportType: Invalid report type: {REPORT_TYPE}{obj}"
        for column in root.iter(f"{NAMESPACE}field"):
            owner, _, field = (column.text or "").partition(".")
            if not field and owner not in REPORT_COLUMNS:
                yield f"field: Invalid value specified: {owner}"
            if field and (owner != obj or self._field(obj, field) is None):
                yield f"field: Invalid value specified: {owner}.{field}"

    def _of_layout(self, name: str, root: ET.Element) -> Iterator[str]:
        obj = name.partition("-")[0]
        described = self._objects.get(obj)
        if described is None:
            yield f"Parent entity failed to deploy: {obj}"
            return
        shown = {
            text_of(item, "field"): text_of(item, "behavior") for item in root.iter(f"{NAMESPACE}layoutItems")
        }
        for field in shown:
            if described.fields.get(field) is None:
                yield f"In field: field - no CustomField named {obj}.{field} found"
        for column in described.fields.values():
            is_required = column.custom and not column.nillable and column.type != "boolean"
            if is_required and shown.get(column.name) != "Required":
                yield f"Layout must contain an item for required layout field: {column.name}"

    def _of_permission_set(self, _name: str, root: ET.Element) -> Iterator[str]:
        for permission in root.iter(f"{NAMESPACE}fieldPermissions"):
            full = text_of(permission, "field")
            field = self._field(*full.split(".", 1))
            if field is None:
                yield f"In field: field - no CustomField named {full} found"
            elif not field.nillable and field.type != "boolean":
                yield f"You cannot deploy to a required field: {full}"
        for part, tag, kind in PERMISSIONS:
            for permission in root.iter(f"{NAMESPACE}{part}"):
                name = text_of(permission, tag)
                if not self._is_there(kind, name):
                    yield f"In field: {tag} - no {kind} named {name} found"
