"""A mapping export of Heroku Connect as a configuration of rtsd.

`heroku connect:export`, or the dashboard, writes JSON: `version` 1, `connection`, and `mappings`,
each with an `object_name` and a `config` of `access`, `sf_notify_enabled`, `sf_polling_seconds`,
`sf_max_daily_api_calls`, `fields`, `indexes` and perhaps `upsert_field`
(https://github.com/heroku/heroku-connect-plugin, connect:export;
https://github.com/davidji99/terraform-provider-herokux, herokux_connect_mappings, with an example;
https://github.com/Thermondo/django-heroku-connect, utils.get_mapping, which writes one). A mapping has all
records (https://devcenter.heroku.com/articles/mapping-configuration-options): there are no filters to take
over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from rtsd.config.values import api_name
from rtsd.errors import UsageError

MAX_BYTES = 16 << 20
"""Of an export; one of a thousand objects with five hundred fields each has as many."""
_DO = "export the mappings again: heroku connect:export, or Settings, Import/Export, in its dashboard"
_RELATED = re.compile(r"(?P<custom>\w+?)__r__\w+|\w+\.[\w.]+|(?P<standard>[A-Za-z0-9]+)__\w+__c")
"""What may be a field of another object: `Parent__r__Number__c`, `Account__Number__c`."""
_ALREADY = frozenset({"id", "systemmodstamp"})
"""Fields that rtsd has indexes for, besides references."""


@dataclass(frozen=True, slots=True)
class MappedObject:
    """An object of the export."""

    name: str
    fields: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What rtsd does not take over, in words."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """An export."""

    objects: tuple[MappedObject, ...]
    notes: tuple[str, ...]
    """What holds for all of them."""

    def toml(self) -> str:
        """Return the tables of the configuration, with the notes as comments."""
        lines = [f"# {note}" for note in self.notes]
        for mapped in self.objects:
            lines += ["", *(f"# {note}" for note in mapped.notes)]
            lines += ["[[objects]]", f"name = {json.dumps(mapped.name)}", "fields = ["]
            lines += [*(f"  {json.dumps(name)}," for name in mapped.fields), "]"]
        return "\n".join(lines)


class _Index(msgspec.Struct):
    unique: bool = False


class _Config(msgspec.Struct):
    fields: dict[str, msgspec.Raw]
    access: str = "read_only"
    sf_notify_enabled: bool = False
    sf_polling_seconds: int | None = None
    sf_max_daily_api_calls: int | None = None
    indexes: dict[str, _Index] = {}
    upsert_field: str | None = None


class _Entry(msgspec.Struct):
    object_name: str
    config: _Config


class _Export(msgspec.Struct):
    mappings: list[_Entry]
    version: int = 1


def read(data: bytes) -> Mapping:
    """Read an export. Raises UsageError, which says what is wrong with the first thing that is."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"the file has more than {MAX_BYTES >> 20} MiB, so it is no mapping export", _DO)
    try:
        export = msgspec.json.decode(data, type=_Export)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"the file is no mapping export of Heroku Connect: {error}", _DO) from None
    if export.version != 1:
        raise UsageError(f"the export has version {export.version}; rtsd reads version 1", "update rtsd")
    if not export.mappings:
        raise UsageError(
            "the export has no mappings", "map objects in Heroku Connect first, then export again"
        )
    mapped = tuple(_object(entry) for entry in export.mappings)
    names = [found.name.lower() for found in mapped]
    twice = sorted({found.name for found in mapped if names.count(found.name.lower()) > 1})
    if twice:
        raise UsageError(f"the export maps {', '.join(twice)} more than once", _DO)
    return Mapping(mapped, tuple(_common(export.mappings)))


def _object(entry: _Entry) -> MappedObject:
    try:
        name = api_name(entry.object_name)
        related = [field for field in entry.config.fields if _is_related(field, entry.config.fields)]
        own = {api_name(field).lower(): field for field in entry.config.fields if field not in related}
    except ValueError as error:
        raise UsageError(f"the export names what cannot be in Salesforce: {error}", _DO) from None
    own.pop("id", None)
    fields = ("Id", *sorted(own.values(), key=str.lower))
    return MappedObject(name, fields, tuple(_notes(name, entry.config, related)))


def _is_related(field: str, mapped: Collection[str]) -> bool:
    """Whether a field is another object's: without AccountId, `Account__Number__c` has a namespace."""
    found = _RELATED.fullmatch(field)
    if found is None or found["standard"] is None:
        return found is not None
    return f"{found['standard']}id".lower() in {name.lower() for name in mapped}


def _notes(name: str, config: _Config, related: Sequence[str]) -> Iterator[str]:
    if config.access != "read_only":
        access = _shown(config.access)
        yield f"{name} was {access}; rtsd never writes to Salesforce: have your application call its API."
    if config.upsert_field:
        yield f"{name} was written by the external id {_shown(config.upsert_field)}."
    if related:
        listed = ", ".join(map(_shown, related))
        yield f"Left out, as they are fields of other objects: {listed}. Mirror those objects, and join them."
    wanted = sorted(field for field in config.indexes if field.lower() not in _ALREADY)
    if wanted:
        listed = ", ".join(map(_shown, wanted))
        yield f"Indexes that Heroku Connect had: {listed}. rtsd indexes references; make the others yourself."


def _common(entries: Sequence[_Entry]) -> Iterator[str]:
    yield "The views of [store.views] heroku_connect show these objects as Heroku Connect did."
    polled = {entry.config.sf_polling_seconds for entry in entries} - {None}
    if polled:
        listed = ", ".join(f"{seconds} s" for seconds in sorted(filter(None, polled)))
        yield f"Polled every {listed}: rtsd gets changes by push; without push, every [sync] interval."
    capped = [entry.config.sf_max_daily_api_calls for entry in entries if entry.config.sf_max_daily_api_calls]
    if capped:
        most = max(capped)
        yield f"Daily API calls had a cap of {most}: see [quota] reserve and [quota.daily] api_requests."
    if any(entry.config.sf_notify_enabled for entry in entries):
        yield "Streaming API: [push] channel has what replaces it."


def _shown(text: str) -> str:
    """Return text of the file for a comment: in ASCII, without what would end it, and not too long."""
    return text[:80].encode("unicode_escape").decode()
