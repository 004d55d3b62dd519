"""What the org says of its objects: the documented keys, and of the optional ones as few as possible."""

from __future__ import annotations

from typing import Any

from tests.support.second_org.records import Field, SObject

_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
    "base64": "xsd:base64Binary",
    "address": "urn:address",
    "location": "urn:location",
}


def summary(entity: SObject, version: str) -> dict[str, Any]:
    """An entry of describeGlobal (REST API guide, Describe Global)."""
    root = f"/services/data/v{version}/sobjects/{entity.name}"
    return {
        "name": entity.name,
        "label": entity.name.removesuffix("__c"),
        "labelPlural": entity.name + "s",
        "keyPrefix": entity.prefix,
        "custom": entity.name.endswith("__c"),
        "customSetting": False,
        "queryable": True,
        "retrieveable": True,
        "replicateable": "IsDeleted" in entity.fields,
        "searchable": False,
        "createable": False,
        "updateable": False,
        "deletable": "IsDeleted" in entity.fields,
        "undeletable": "IsDeleted" in entity.fields,
        "mergeable": "MasterRecordId" in entity.fields,
        "triggerable": entity.name in ("Account", "Contact", "Device__c"),
        "layoutable": True,
        "feedEnabled": False,
        "deprecatedAndHidden": False,
        "urls": {"sobject": root, "describe": root + "/describe", "rowTemplate": root + "/{ID}"},
    }


_OPTIONAL = (
    "soapType",
    "byteLength",
    "digits",
    "precision",
    "scale",
    "groupable",
    "aggregatable",
    "sortable",
)
"""What an odd org leaves out of its fields."""


def describe(entity: SObject, version: str, *, odd: bool = False) -> dict[str, Any]:
    """A describe (REST API guide, sObject Describe), with fields in another order than they were made in."""
    fields = [_field(field) for field in sorted(entity.visible(), key=lambda field: field.name[::-1])]
    if odd:
        fields = [
            {key: value for key, value in described.items() if key not in _OPTIONAL} for described in fields
        ]
    return summary(entity, version) | {"fields": fields, "childRelationships": [], "recordTypeInfos": []}


def _field(field: Field) -> dict[str, Any]:
    numbers = field.type in ("double", "currency", "percent")
    return {
        "name": field.name,
        "label": field.name.replace("_", " "),
        "type": field.type,
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "length": field.length,
        "byteLength": field.length * 3,
        "precision": 18 if numbers else 0,
        "scale": 2 if numbers else 0,
        "digits": 9 if field.type == "int" else 0,
        "nillable": field.name == "Id",  # not to be trusted: tap-salesforce does not either
        "calculated": field.formula,
        "compoundFieldName": field.compound,
        "custom": field.name.endswith("__c"),
        "filterable": field.filterable,
        "groupable": field.groupable,
        "sortable": field.filterable,
        "aggregatable": field.groupable,
        "referenceTo": list(field.refers_to),
        "relationshipName": None,
        "picklistValues": [],
        "createable": False,
        "updateable": not field.formula,
        "unique": field.name == "Id",
        "encrypted": field.type == "encryptedstring",
    }
