"""Random values for a field, by its type and name; nillable fields are sometimes empty."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rtssim.sample_data import words
from rtssim.schema.model import NUMBER_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from rtssim.schema.model import Field

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_DAYS = 2100
_EMPTY = 0.3


def person(rng: Random) -> tuple[str | None, str, str | None]:
    """Return first name, last name and salutation, in one script."""
    script = rng.randrange(len(words.FIRST_NAMES)) if rng.random() < 0.6 else 0
    first = rng.choice(words.split(words.FIRST_NAMES[script]))
    last = rng.choice(words.split(words.LAST_NAMES[script]))
    salutation = rng.choice(("Mr.", "Ms.", "Dr.", None, None))
    return (None if rng.random() < 0.05 else first), last, salutation


def company(rng: Random) -> str:
    """Return a company name, not unique."""
    script = rng.randrange(len(words.COMPANIES)) if rng.random() < 0.5 else 0
    return f"{rng.choice(words.split(words.COMPANIES[script]))} {rng.choice(words.split(words.SUFFIXES))}"


def note(rng: Random, length: int) -> str:
    """Return one to four sentences, cut to the field."""
    return " ".join(rng.choice(words.SENTENCES) for _ in range(rng.randint(1, 4)))[:length]


def long_text(rng: Random, length: int) -> str:
    """Return text that fills the field to its last character."""
    parts: list[str] = []
    size = 0
    while size < length:
        parts.append(rng.choice(words.SENTENCES))
        size += len(parts[-1]) + 1
    return "\n".join(parts)[:length]


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _number(field: Field, rng: Random) -> Any:
    if field.type == "int":
        return rng.randrange(10 ** min(field.digits, 6))
    if field.type == "percent":
        return float(rng.randrange(0, 100)) if field.scale == 0 else round(rng.uniform(0, 100), field.scale)
    if field.name.endswith(("Latitude", "Longitude")):
        return round(rng.uniform(-80, 80), 6)
    whole = min(field.precision - field.scale, 7)
    return round(rng.uniform(0, 10**whole), field.scale)


def _date(field: Field, rng: Random) -> str:
    years = 0 if field.name != "Birthdate" else -45
    day = _EPOCH + timedelta(days=rng.randrange(_DAYS))
    return day.replace(year=day.year + years, day=min(day.day, 28)).date().isoformat()


def _moment(_: Field, rng: Random) -> str:
    moment = _EPOCH + timedelta(seconds=rng.randrange(_DAYS * 86400))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _time(_: Field, rng: Random) -> str:
    return f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:00.000Z"


def _multi(field: Field, rng: Random) -> str:
    count = rng.randint(1, min(3, len(field.picklist)))
    return ";".join(sorted(rng.sample(field.picklist, count), key=field.picklist.index))


def _text(field: Field, rng: Random) -> str:
    for ending, source in _BY_ENDING:
        if field.name.endswith(ending):
            return source(rng)[: field.length]
    if field.type == "textarea":
        return note(rng, min(field.length, 400))
    return note(rng, min(field.length, 60))


def _city(rng: Random) -> str:
    return rng.choice(words.split(rng.choice(words.CITIES)))


_BY_ENDING: tuple[tuple[str, Callable[[Random], str]], ...] = (
    ("City", _city),
    ("Country", lambda rng: rng.choice(words.split(words.COUNTRIES))),
    ("PostalCode", lambda rng: _digits(rng, 5)),
    ("State", lambda rng: rng.choice(("NRW", "CA", "Île-de-France", "東京都"))),
    ("Street", lambda rng: rng.choice(words.split(words.STREETS))),
    ("Title", lambda rng: rng.choice(words.split(words.TITLES))),
    ("Company", company),
    ("Subject", lambda rng: rng.choice(words.split(words.SUBJECTS))),
    ("AssistantName", lambda rng: person(rng)[1]),
    ("Number", lambda rng: _digits(rng, 8)),
    ("ContentType", lambda _: "text/plain"),
)
_BY_TYPE: dict[str, Callable[[Field, Random], Any]] = {
    "boolean": lambda _, rng: int(rng.random() < 0.2),
    "picklist": lambda field, rng: rng.choice(field.picklist),
    "multipicklist": _multi,
    "email": lambda _, rng: f"{_digits(rng, 6)}@{rng.choice(words.split(words.DOMAINS))}",
    "phone": lambda _, rng: f"+{rng.randint(1, 99)} ({_digits(rng, 3)}) {_digits(rng, 7)}",
    "url": lambda _, rng: f"https://www.example.com/{_digits(rng, 6)}?q=ü&x=1",
    "date": _date,
    "datetime": _moment,
    "time": _time,
    "base64": lambda _, rng: rng.randbytes(rng.randint(1, 200)),
}
_BY_TYPE |= dict.fromkeys(NUMBER_TYPES, _number)


def value(field: Field, rng: Random) -> Any:
    """Return a stored value for a field, None for references; nillable fields are sometimes empty."""
    if field.type == "reference" or (not field.createable and field.type != "boolean"):
        return None
    if not field.createable:
        return 0
    if field.nillable and rng.random() < _EMPTY:
        return None
    return _BY_TYPE.get(field.type, _text)(field, rng)
