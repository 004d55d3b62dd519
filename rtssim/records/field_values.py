"""Conversion of field values: from a client's to the stored form, and from there to REST."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from rtssim import ids
from rtssim.clock import rest_form, stamp
from rtssim.interface import OrgError
from rtssim.schema.model import TEXT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtssim.schema.model import Field, ObjectType, Schema

_TIME = re.compile(r"(\d{2}:\d{2}:\d{2})(?:\.(\d{1,3}))?Z?")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _unreadable(field: Field, value: object) -> OrgError:
    kind = "VALUE_STRING" if isinstance(value, str) else "VALUE_NUMBER"
    return OrgError(
        400,
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {field.type} from {kind} value {value} or request may be missing a"
        f" required field at {field.name}",
        (field.name,),
    )


def _boolean(field: Field, value: Any) -> int:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return int(value.lower() == "true")
    raise _unreadable(field, value)


def _number(field: Field, value: Any) -> float:
    if isinstance(value, bool):
        raise _unreadable(field, value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _unreadable(field, value) from None
    if field.type == "int":
        return int(number)
    limit = 10.0 ** (field.precision - field.scale)
    if abs(number) >= limit:
        message = f"{field.label}: value outside of valid range on numeric field: {value}"
        raise OrgError(400, "NUMBER_OUTSIDE_VALID_RANGE", message, (field.name,))
    return float(f"{round(number, field.scale):.15g}")  # the 15 digits that CSV prints, so that REST agrees


def _day(field: Field, value: Any) -> str:
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        raise _unreadable(field, value) from None


def _moment(field: Field, value: Any) -> str:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise _unreadable(field, value) from None
    if moment.tzinfo is None:
        raise _unreadable(field, value)
    return stamp(moment)


def _time(field: Field, value: Any) -> str:
    match = _TIME.fullmatch(str(value))
    if match is None:
        raise _unreadable(field, value)
    return f"{match[1]}.{match[2] or '':0<3}Z"


def _bytes(field: Field, value: Any) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (ValueError, binascii.Error):
        raise _unreadable(field, value) from None


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if len(value) > field.length:
        message = f"{field.label}: data value too large: {value[:80]} (max length={field.length})"
        raise OrgError(400, "STRING_TOO_LONG", message, (field.name,))
    if field.type == "email" and not _EMAIL.fullmatch(value):
        message = f"{field.label}: invalid email address: {value}"
        raise OrgError(400, "INVALID_EMAIL_ADDRESS", message, (field.name,))
    if field.restricted_picklist and value not in field.picklist:
        message = f"{field.label}: bad value for restricted picklist field: {value}"
        raise OrgError(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, (field.name,))
    return str(value)


_STORE: dict[str, Callable[[Field, Any], Any]] = {
    "boolean": _boolean,
    "int": _number,
    "double": _number,
    "currency": _number,
    "percent": _number,
    "date": _day,
    "datetime": _moment,
    "time": _time,
    "base64": _bytes,
}
_STORE |= dict.fromkeys(TEXT_TYPES, _text)


def to_stored(schema: Schema, field: Field, value: Any) -> Any:
    """Return the stored form of a client's value ("" is null); OrgError if Salesforce refuses it."""
    if value is None or value == "":
        if field.type == "boolean":
            raise _unreadable(field, value)
        return None
    if field.type == "reference":
        return _reference(schema, field, value)
    return _STORE[field.type](field, value)


def _reference(schema: Schema, field: Field, value: Any) -> str:
    full = ids.to_18(str(value))
    targets = [obj.prefix for name in field.reference_to if (obj := schema.find(name)) is not None]
    if full is None or full[:3] not in targets:
        raise OrgError(
            400, "MALFORMED_ID", f"{field.label}: id value of incorrect type: {value}", (field.name,)
        )
    return full


def to_json(field: Field, value: Any) -> Any:
    """Return a stored value as REST prints it."""
    if value is None:
        return None
    if field.type == "boolean":
        return bool(value)
    if field.type == "datetime":
        return rest_form(value)
    if field.type == "base64":
        return base64.b64encode(value).decode()
    return value


def row_json(obj: ObjectType, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's stored fields as REST prints them, without base64."""
    return {
        field.name: to_json(field, row[field.name])
        for field in obj.fields.values()
        if field.name in row and field.type != "base64"
    }
