"""Conversion of SOQL literals to their stored form, and the ranges of date literals."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rtssim import ids
from rtssim.clock import stamp
from rtssim.schema.model import ID_TYPES, NUMBER_TYPES, TEXT_TYPES
from rtssim.soql.messages import located, malformed
from rtssim.soql.parser import unescape

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtssim.soql.ast import Value

_MAX_STRING = 4000
_TYPE_NAMES = {
    "datetime": "dateTime",
    "int": "int",
    "double": "double",
    "currency": "double",
    "percent": "double",
}
_QUOTED = TEXT_TYPES | ID_TYPES


def _mismatch(text: str, value: Value, field: str, kind: str) -> Exception:
    expected = _TYPE_NAMES.get(kind, "string" if kind in _QUOTED else kind)
    verb = "should be enclosed" if kind in _QUOTED else "should not be enclosed"
    return located(
        text,
        value.at,
        "INVALID_FIELD",
        f"value of filter criterion for field '{field}' must be of type {expected} and {verb} in quotes",
    )


def _string(text: str, value: Value, *, pattern: bool) -> str:
    try:
        plain = unescape(value.raw, pattern=pattern)
    except ValueError as error:
        raise malformed(
            text, value.at, f"Illegal character sequence '{error.args[0]}' in string literal"
        ) from None
    if len(plain) > _MAX_STRING:
        raise malformed(text, value.at, f"string literal is longer than {_MAX_STRING} characters")
    return plain


def _identifier(text: str, value: Value, plain: str) -> str:
    full = ids.to_18(plain)
    if full is None:
        raise located(text, value.at, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {plain}")
    return full


def _moment(text: str, value: Value) -> str:
    try:
        return stamp(datetime.fromisoformat(value.raw.upper()))
    except (ValueError, OverflowError):
        raise malformed(text, value.at, f"Invalid datetime: {value.raw}") from None


def _day(text: str, value: Value) -> str:
    try:
        return date.fromisoformat(value.raw).isoformat()
    except ValueError:
        raise malformed(text, value.at, f"Invalid date: {value.raw}") from None


def _number(_: str, value: Value) -> float:
    number = float(value.raw)
    return int(number) if number.is_integer() and "." not in value.raw else number


def _boolean(_: str, value: Value) -> int:
    return int(value.raw == "true")


def stored(text: str, value: Value, field: str, kind: str, *, pattern: bool = False) -> Any:
    """Return the stored form of `value` for comparison with `field` of type `kind`; None is null.

    Raises INVALID_FIELD if the literal has another type, INVALID_QUERY_FILTER_OPERATOR for a bad id.
    """
    if value.kind == "null":
        return None
    if value.kind == "string" and kind in _QUOTED:
        plain = _string(text, value, pattern=pattern)
        if plain == "":
            return None
        return _identifier(text, value, plain) if kind in ID_TYPES and not pattern else plain
    convert = _PLAIN.get((value.kind, "number" if kind in NUMBER_TYPES else kind))
    if convert is None:
        raise _mismatch(text, value, field, kind)
    return convert(text, value)


def _time(_: str, value: Value) -> str:
    clock, _, fraction = value.raw.upper().removesuffix("Z").partition(".")
    return f"{clock}.{fraction[:3]:0<3}Z"


_PLAIN: dict[tuple[str, str], Callable[[str, Value], Any]] = {
    ("number", "number"): _number,
    ("boolean", "boolean"): _boolean,
    ("datetime", "datetime"): _moment,
    ("date", "date"): _day,
    ("time", "time"): _time,
}


# -- date literals -------------------------------------------------------------------------------------


def _month(day: date, shift: int) -> date:
    months = day.year * 12 + day.month - 1 + shift
    return date(months // 12, months % 12 + 1, 1)


def _week(day: date, shift: int) -> date:
    return day - timedelta(days=(day.weekday() + 1) % 7) + timedelta(weeks=shift)


def _start(unit: str, day: date, shift: int) -> date:
    """Return the first day of the unit that lies `shift` units after the unit of `day`."""
    if unit == "DAY":
        return day + timedelta(days=shift)
    if unit == "WEEK":
        return _week(day, shift)
    if unit == "MONTH":
        return _month(day, shift)
    if unit == "QUARTER":
        return _month(day.replace(month=(day.month - 1) // 3 * 3 + 1), 3 * shift)
    return date(day.year + shift, 1, 1)


_SINGLE = {"YESTERDAY": ("DAY", -1), "TODAY": ("DAY", 0), "TOMORROW": ("DAY", 1)}
_RELATIVE = {"LAST": -1, "THIS": 0, "NEXT": 1}


def _days(word: str, number: int | None, today: date) -> tuple[date, date] | None:
    """Return the first day of a date literal and the day after its last, or None for any other word."""
    if number is None and word in _SINGLE:
        unit, shift = _SINGLE[word]
        return _start(unit, today, shift), _start(unit, today, shift + 1)
    if number is None and word in ("LAST_90_DAYS", "NEXT_90_DAYS"):
        return _counted(word[:4], "DAY", 90, today)
    direction, _, rest = word.partition("_")
    rest = rest.replace("FISCAL_", "")
    if number is None and direction in _RELATIVE and rest in ("WEEK", "MONTH", "QUARTER", "YEAR"):
        shift = _RELATIVE[direction]
        return _start(rest, today, shift), _start(rest, today, shift + 1)
    if number is not None and rest.startswith("N_") and rest.endswith("S"):
        return _counted(direction, rest[2:-1], number, today)
    if number is not None and rest.endswith("S_AGO") and direction == "N":
        unit = rest.removesuffix("S_AGO")
        return _start(unit, today, -number), _start(unit, today, 1 - number)
    return None


def _counted(direction: str, unit: str, number: int, today: date) -> tuple[date, date] | None:
    if unit not in ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR"):
        return None
    if direction == "LAST":
        first = _start(unit, today, -number)
        return first, _start(unit, today, 1 if unit == "DAY" else 0)
    if direction == "NEXT":
        return _start(unit, today, 1), _start(unit, today, number + 1)
    return None


def date_range(text: str, value: Value, kind: str, now: datetime, zone: str) -> tuple[str, str]:
    """Return the stored bounds of a date literal, the second exclusive, for a `date` or `datetime` field.

    Days begin at midnight in `zone`, the user's time zone (SOQL and SOSL Reference, Date Formats).
    """
    try:
        local = ZoneInfo(zone)
    except ZoneInfoNotFoundError:
        local = ZoneInfo("UTC")
    days = _days(value.raw, value.number, now.astimezone(local).date())
    if days is None or kind not in ("date", "datetime"):
        raise malformed(text, value.at, f"unexpected token: '{value.raw}'")
    if kind == "date":
        return days[0].isoformat(), days[1].isoformat()
    first, after = (datetime(day.year, day.month, day.day, tzinfo=local) for day in days)
    return stamp(first), stamp(after)
