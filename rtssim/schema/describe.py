"""Describe documents in REST format (REST API guide, sObject Describe and Describe Global)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtssim.schema.model import NUMBER_TYPES, Field, ObjectType, Schema

if TYPE_CHECKING:
    from rtssim.interface import Principal

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
_TEXTUAL = frozenset({"string", "textarea", "picklist", "multipicklist", "combobox", "email", "phone", "url"})


def _picklist(field: Field) -> list[dict[str, Any]]:
    return [
        {
            "active": True,
            "defaultValue": value == field.default,
            "label": value,
            "validFor": None,
            "value": value,
        }
        for value in field.picklist
    ]


def _numbers(field: Field) -> dict[str, Any]:
    byte_length = field.length if field.type in ("id", "reference") else field.length * 3
    return {
        "byteLength": byte_length,
        "digits": field.digits,
        "length": field.length,
        "precision": field.precision,
        "scale": field.scale,
    }


def _names(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "label": field.label,
        "type": field.type,
        "soapType": _SOAP.get(field.type, "xsd:string"),
        "compoundFieldName": field.compound,
        "controllerName": None,
        "inlineHelpText": None,
        "mask": None,
        "maskType": None,
        "extraTypeInfo": "plaintextarea" if field.type == "textarea" else None,
    }


def _reference(field: Field) -> dict[str, Any]:
    return {
        "referenceTo": list(field.reference_to),
        "referenceTargetField": None,
        "relationshipName": field.relationship,
        "relationshipOrder": None,
        "namePointing": field.polymorphic,
        "polymorphicForeignKey": field.polymorphic,
        "cascadeDelete": field.type == "reference" and field.on_delete == "cascade" and not field.nillable,
        "restrictedDelete": False,
        "writeRequiresMasterRead": False,
        "filteredLookupInfo": None,
    }


def _flags(field: Field) -> dict[str, Any]:
    default = field.default if field.type == "boolean" or field.picklist else None
    return {
        "aggregatable": field.aggregatable,
        "aiPredictionField": False,
        "autoNumber": field.auto_number,
        "calculated": field.calculated,
        "calculatedFormula": field.formula,
        "caseSensitive": field.case_sensitive,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": default,
        "defaultValueFormula": None,
        "defaultedOnCreate": field.defaulted_on_create,
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "displayLocationInDecimal": False,
        "encrypted": field.type == "encryptedstring",
        "externalId": field.external_id,
        "filterable": field.filterable,
        "formulaTreatNullNumberAsZero": False,
        "groupable": field.groupable,
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": field.external_id or field.type == "id",
        "nameField": field.name_field,
        "nillable": field.nillable,
        "permissionable": field.nillable and field.type != "id",
        "picklistValues": _picklist(field),
        "queryByDistance": False,
        "restrictedPicklist": field.restricted_picklist,
        "searchPrefilterable": field.type == "reference",
        "sortable": field.sortable,
        "unique": field.unique,
        "updateable": field.updateable,
    }


def describe_field(field: Field) -> dict[str, Any]:
    """Return a field's entry in `fields`."""
    document = {**_names(field), **_numbers(field), **_reference(field), **_flags(field)}
    if field.type in NUMBER_TYPES or field.type not in _TEXTUAL | {"id", "reference"}:
        document["byteLength"] = 0
    return document


def describe_entry(obj: ObjectType, base: str) -> dict[str, Any]:
    """Return the object's entry in describeGlobal; `base` is `/services/data/vNN.0`."""
    url = f"{base}/sobjects/{obj.name}"
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": obj.createable,
        "custom": obj.custom,
        "customSetting": obj.custom_setting,
        "deepCloneable": False,
        "deletable": obj.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "hasSubtypes": False,
        "idEnabled": True,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": obj.prefix,
        "label": obj.label,
        "labelPlural": obj.plural,
        "layoutable": obj.layoutable,
        "mergeable": obj.mergeable,
        "mruEnabled": obj.layoutable,
        "name": obj.name,
        "queryable": True,
        "replicateable": obj.replicateable,
        "retrieveable": True,
        "searchable": obj.searchable,
        "triggerable": obj.triggerable,
        "undeletable": obj.undeletable,
        "updateable": obj.updateable,
        "urls": {"sobject": url, "describe": f"{url}/describe", "rowTemplate": f"{url}/{{ID}}"},
    }


def _children(schema: Schema, obj: ObjectType, who: Principal) -> list[dict[str, Any]]:
    return [
        {
            "cascadeDelete": child.field.on_delete == "cascade",
            "childSObject": child.object.name,
            "deprecatedAndHidden": False,
            "field": child.field.name,
            "junctionIdListNames": [],
            "junctionReferenceTo": [],
            "relationshipName": child.field.child_relationship,
            "restrictedDelete": False,
        }
        for child in schema.children(obj)
        if child.object.name not in who.hidden_objects
        and (child.object.name, child.field.name) not in who.hidden_fields
    ]


def describe_object(schema: Schema, obj: ObjectType, who: Principal, base: str) -> dict[str, Any]:
    """Return the describe document of `obj` as `who` sees it, without hidden fields."""
    fields = [
        describe_field(field)
        for field in obj.fields.values()
        if (obj.name, field.name) not in who.hidden_fields
    ]
    master = {
        "active": True,
        "available": True,
        "defaultRecordTypeMapping": True,
        "developerName": "Master",
        "master": True,
        "name": "Master",
        "recordTypeId": "012000000000000AAA",
        "urls": {"layout": f"{base}/sobjects/{obj.name}/describe/layouts/012000000000000AAA"},
    }
    return {
        **describe_entry(obj, base),
        "actionOverrides": [],
        "childRelationships": _children(schema, obj, who),
        "compactLayoutable": obj.layoutable,
        "defaultImplementation": None,
        "extendsInterfaces": None,
        "fields": fields,
        "implementedBy": None,
        "implementsInterfaces": None,
        "listviewable": None,
        "lookupLayoutable": None,
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "recordTypeInfos": [master],
        "searchLayoutable": obj.searchable,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [{"label": f"All {obj.plural.lower()}", "name": "everything"}],
    }
