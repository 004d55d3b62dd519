"""The elements and values of metadata files, for the types that the package has.

(Metadata API guide: CustomObject, CustomField, ListView, PermissionSet, RemoteSiteSetting, CustomTab,
CustomPermission, PlatformEventSubscriberConfig. Of types that are not in here, elements are not checked.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtssim.metadata.archive import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree import ElementTree as ET

BOOLEAN = "boolean"
TEXT = ""
_FLAGS = {"true", "false"}

ENUMS = {
    "CustomSettingsType": {"Hierarchy", "List"},
    "DeploymentStatus": {"Deployed", "InDevelopment"},
    "FieldType": {
        "AutoNumber", "Lookup", "MasterDetail", "Checkbox", "Currency", "Date", "DateTime", "Email", "Number",
        "Percent", "Phone", "Picklist", "MultiselectPicklist", "Text", "TextArea", "LongTextArea", "Html",
        "Url", "EncryptedText", "Summary", "Location", "Time", "ExternalLookup", "IndirectLookup",
    },
    "FilterOperation": {
        "equals", "notEqual", "lessThan", "greaterThan", "lessOrEqual", "greaterOrEqual", "contains",
        "notContain", "startsWith", "includes", "excludes", "within",
    },
    "FilterScope": {"Everything", "Mine", "Queue", "Delegated", "MyTerritory", "MyTeamTerritory", "Team"},
    "PermissionSetTabVisibility": {"None", "Available", "Visible"},
    "PlatformEventPublishBehavior": {"PublishAfterCommit", "PublishImmediately"},
    "PlatformEventType": {"HighVolume", "StandardVolume"},
    "SetupObjectVisibility": {"Public", "Protected", "PackageProtected"},
    "SharingModel": {"Private", "Read", "ReadWrite", "ReadWriteTransfer", "FullAccess", "ControlledByParent"},
}  # fmt: skip
_SWITCHES = (
    "enableActivities", "enableBulkApi", "enableFeeds", "enableHistory", "enableReports", "enableSearch",
    "enableSharing", "enableStreamingApi", "enableLicensing", "allowInChatterGroups",
)  # fmt: skip
TYPES: dict[str, dict[str, str]] = {
    "CustomObject": {
        "customSettingsType": "CustomSettingsType",
        "deploymentStatus": "DeploymentStatus",
        "description": TEXT,
        "eventType": "PlatformEventType",
        "externalSharingModel": "SharingModel",
        "fields": "CustomField",
        "label": TEXT,
        "listViews": "ListView",
        "nameField": "CustomField",
        "pluralLabel": TEXT,
        "publishBehavior": "PlatformEventPublishBehavior",
        "sharingModel": "SharingModel",
        "visibility": "SetupObjectVisibility",
        **dict.fromkeys(_SWITCHES, BOOLEAN),
    },
    "CustomField": {
        **dict.fromkeys(
            (
                "fullName", "label", "description", "inlineHelpText", "length", "precision", "scale",
                "visibleLines", "defaultValue", "displayFormat", "startingNumber", "referenceTo",
                "relationshipName", "relationshipLabel", "deleteConstraint", "formula",
                "formulaTreatBlanksAs", "maskChar", "maskType", "valueSet",
            ),
            TEXT,
        ),
        **dict.fromkeys(
            ("required", "unique", "externalId", "caseSensitive", "trackHistory", "trackFeedHistory"), BOOLEAN
        ),
        "type": "FieldType",
    },
    "ListView": {
        "fullName": TEXT, "label": TEXT, "columns": TEXT, "language": TEXT, "sharedTo": TEXT, "queue": TEXT,
        "booleanFilter": TEXT, "filterScope": "FilterScope", "filters": "ListViewFilter",
    },
    "ListViewFilter": {"field": TEXT, "operation": "FilterOperation", "value": TEXT},
    "PermissionSet": {
        "label": TEXT, "description": TEXT, "license": TEXT, "hasActivationRequired": BOOLEAN,
        "applicationVisibilities": TEXT, "classAccesses": TEXT, "recordTypeVisibilities": TEXT,
        "customSettingAccesses": "PermissionSetCustomSettingAccess",
        "customPermissions": "PermissionSetCustomPermissions",
        "fieldPermissions": "PermissionSetFieldPermissions",
        "objectPermissions": "PermissionSetObjectPermissions",
        "tabSettings": "PermissionSetTabSetting", "userPermissions": "PermissionSetUserPermission",
    },
    "PermissionSetCustomSettingAccess": {"enabled": BOOLEAN, "name": TEXT},
    "PermissionSetCustomPermissions": {"enabled": BOOLEAN, "name": TEXT},
    "PermissionSetFieldPermissions": {"editable": BOOLEAN, "field": TEXT, "readable": BOOLEAN},
    "PermissionSetObjectPermissions": {
        **dict.fromkeys(
            (
                "allowCreate", "allowDelete", "allowEdit", "allowRead", "modifyAllRecords", "viewAllRecords",
                "viewAllFields",
            ),
            BOOLEAN,
        ),
        "object": TEXT,
    },
    "PermissionSetTabSetting": {"tab": TEXT, "visibility": "PermissionSetTabVisibility"},
    "PermissionSetUserPermission": {"enabled": BOOLEAN, "name": TEXT},
    "RemoteSiteSetting": {
        "description": TEXT, "disableProtocolSecurity": BOOLEAN, "isActive": BOOLEAN, "url": TEXT,
    },
    "CustomTab": {"customObject": BOOLEAN, "motif": TEXT, "label": TEXT, "description": TEXT, "url": TEXT},
    "CustomPermission": {
        "label": TEXT, "description": TEXT, "connectedApp": TEXT, "requiredPermission": TEXT,
        "isLicensed": BOOLEAN,
    },
    "PlatformEventSubscriberConfig": {
        "batchSize": TEXT, "masterLabel": TEXT, "platformEventConsumer": TEXT, "user": TEXT,
        "isProtected": BOOLEAN, "numPartitions": TEXT, "partitionKey": TEXT,
    },
}  # fmt: skip
"""Elements by type, each with its type, enumeration or `boolean`."""


def problems(element: ET.Element, kind: str) -> Iterator[str]:
    """Yield what is wrong with an element of a type, in Salesforce's words."""
    known = TYPES.get(kind)
    if known is None:
        return
    for child in element:
        name = child.tag.removeprefix(NAMESPACE)
        wanted = known.get(name)
        value = (child.text or "").strip()
        if wanted is None:
            yield f"Element {child.tag} invalid at this location in type {kind}"
        elif wanted in TYPES:
            yield from problems(child, wanted)
        elif wanted == BOOLEAN and value not in _FLAGS:
            yield f"'{value}' is not a valid value for the type xsd:boolean"
        elif wanted in ENUMS and value not in ENUMS[wanted]:
            yield f"'{value}' is not a valid value for the enum '{wanted}'"
