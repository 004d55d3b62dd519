"""The past of records, as SQL makes it from the journal, by the rule of `rtsd.core.trace`.

The journal has the values that each change replaced. So a field's value in a version is what the next change
of the field replaced, else what the row has. Two relations are made of that:

- `versions_of`: every version of an object's records, as a view shows them. Window functions find the next
  change of each field in one pass over a record's entries, however many there are.
- `rows_at`: an object's rows as they were at a moment, with the columns of its table. Only records that have
  changed since are traced back.

A field that the mirror got later is unknown in the versions that had ended before (`known_since`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rtsd.core.layout import FACTS
from rtsd.core.schema import Field
from rtsd.errors import UsageError
from rtsd.store import journal, meta
from rtsd.store.database import Queries, Tx
from rtsd.store.dialect import text
from rtsd.store.schema import Table

WHOLE = ""
"""The name under which `known_since` has the moment when an object's rows were first complete."""


async def known_since(reader: Queries | Tx, object_name: str) -> dict[str, str]:
    """Return since when fields are known that came to a loaded object, as ISO by name, and `WHOLE`."""
    found = await meta.get(reader, _key(object_name))
    return msgspec.json.decode(found, type=dict[str, str]) if found else {}


async def learned(tx: Tx, object_name: str, names: Collection[str], at: str) -> None:
    """Store that every row has these fields since a moment (ISO); `mirror.END`: not yet."""
    known = {**await known_since(tx, object_name), **dict.fromkeys(names, at)}
    await meta.put(tx, _key(object_name), msgspec.json.encode(known).decode())


async def complete(tx: Tx, object_name: str, at: str) -> None:
    """Store that an object's rows are complete since a moment (ISO), unless they were before."""
    if WHOLE not in await known_since(tx, object_name):
        await learned(tx, object_name, [WHOLE], at)


async def known_rows_at(reader: Queries, table: Table, at: str) -> str:
    """Return the SELECT of an object's rows at a moment (ISO). Raises UsageError if they are not known."""
    known, begin = await known_since(reader, table.name), await journal.begin(reader)
    if WHOLE not in known:
        raise UsageError(
            f"the past of {table.name} is not known, as its rows have not been complete yet",
            "ask for the present, or for a moment after the object is live",
        )
    if begin is None:
        raise UsageError(
            f"the past of {table.name} is not known, as the journal has no entry left",
            "ask for the present; [store] journal_keep and journal_max say how much is kept",
        )
    if at < (since := max(known[WHOLE], begin)):
        raise UsageError(
            f"{table.name} is not known as it was at {at}: its past is kept since {since}",
            f"name a moment since {since}; [store] journal_keep and journal_max say how much is kept",
        )
    return rows_at(table, at, known)


def rows_at(table: Table, at: str, known: Mapping[str, str]) -> str:
    """Return the SELECT of an object's rows at a moment (ISO); `known` is since when its fields are known.

    The moment must not be before the journal begins, nor before the object's rows were complete.
    """
    place, since = table.dialect.qualified(table.name), text(at)
    later = f"SELECT 1 FROM _rts_journal AS later WHERE {_applied('later', table)} AND later.at > {since}"
    fields = ", ".join(
        f"{_value_before(table, field, known.get(field.name))} AS {table.dialect.column(field.name)}"
        for field in table.schema.fields
    )
    # from the index on moments: what has changed since is little; `u` is a record's first change since then
    changed = f"(SELECT seq FROM _rts_journal WHERE at > {since}) AS recent CROSS JOIN _rts_journal AS u"
    first = f"NOT EXISTS ({later} AND later.id = u.id AND later.seq < u.seq)"
    unchanged = f"NOT EXISTS ({later} AND later.id = r.Id)"
    return (
        f"SELECT {table.list_of(table.columns)} FROM {place} AS r WHERE {unchanged}"
        f" UNION ALL SELECT {fields} FROM {changed} LEFT JOIN {place} AS r ON r.Id = u.id"
        f" WHERE u.seq = recent.seq AND {_applied('u', table)} AND u.before IS NOT NULL AND {first}"
    )


def versions_of(table: Table, without: Collection[str] = ()) -> str:
    """Return the SELECT of all versions of an object's records: the fields, and then `FACTS`.

    `without` are fields to leave out, in lower case.
    """
    fields = [field for field in table.schema.fields if field.name.lower() not in without]
    versions = _Versions(table, fields, table.schema.by_name.get(table.schema.cursor or ""))
    return f"{versions.past()} UNION ALL {versions.present()} UNION ALL {versions.deleted()}"


@dataclass(frozen=True, slots=True)
class _Versions:
    """Makes the parts of `versions_of`."""

    table: Table
    fields: Sequence[Field]
    cursor: Field | None

    def past(self) -> str:
        """Select the versions that an entry `e` ended, with the last value of each field before it.

        `e.s0`, `e.s1` and so on are the entries that tell them.
        """
        dialect = self.table.dialect
        parsing, document = dialect.document("j.before", "parsed")
        told = [field for field in self.table.schema.fields if field.name != "Id"]
        tells = [_tells("j", document, self.table, field) for field in told]
        tellers = "".join(
            f", MIN(CASE WHEN {condition} THEN j.seq END) OVER later AS s{place}"
            for place, condition in enumerate(tells)
        )
        values = {field.name: self._told(field, f"e.s{place}") for place, field in enumerate(told)}
        shown = [
            "e.id" if field.name == "Id" else self._known(field, "e.until", values[field.name])
            for field in self.fields
        ]
        stamp, until = values[self.cursor.name] if self.cursor else "NULL", dialect.moment("e.until")
        begun = f"COALESCE({dialect.moment('e.begun')}, {_earlier(stamp, until)})"
        facts = (begun, until, "e.source", "e.begun_by", "e.op", "e.master", self._unknown("e.until"))
        entries = (
            "SELECT j.id, j.op, j.before IS NOT NULL AS ends, MAX(j.at) OVER so_far AS until,"
            " MAX(j.at) OVER earlier AS begun, LAG(j.source) OVER so_far AS source,"
            " LAG(j.op) OVER so_far AS begun_by,"
            f" {dialect.text_in('j.detail', 'master')} AS master{tellers}"
            f" FROM _rts_journal AS j{parsing} WHERE {_applied('j', self.table)} AND j.id IS NOT NULL WINDOW"
            " so_far AS (PARTITION BY j.id ORDER BY j.seq ROWS UNBOUNDED PRECEDING),"
            " earlier AS (PARTITION BY j.id ORDER BY j.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),"
            " later AS (PARTITION BY j.id ORDER BY j.seq DESC ROWS UNBOUNDED PRECEDING)"
        )
        return (
            f"SELECT {self._select(shown, facts)} FROM ({entries}) AS e"
            f" LEFT JOIN {self.table.sql_name} AS r ON r.Id = e.id WHERE e.ends"
        )

    def present(self) -> str:
        """Select the rows as they are, each with the moment and the source of the last entry about it."""
        about = f"FROM _rts_journal AS l WHERE {_applied('l', self.table)} AND l.id = r.Id"
        last = f"{about} ORDER BY l.seq DESC LIMIT 1"
        cursor, seen = self.cursor, self.table.dialect.moment_of("r._rts_seen")
        stamp = self._row(cursor) if cursor else seen
        facts = (
            f"COALESCE({self.table.dialect.moment(f'(SELECT MAX(l.at) {about})')}, {stamp})",
            self.table.dialect.moment("NULL"),
            f"COALESCE((SELECT l.source {last}), r._rts_source)",
            f"(SELECT l.op {last})",
            *["NULL"] * 3,
        )
        shown = [self._row(field) for field in self.fields]
        return f"SELECT {self._select(shown, facts)} FROM {self.table.sql_name} AS r"

    def deleted(self) -> str:
        """Select the last values of deleted records about which the journal has no entry any more."""
        parsing, document = self.table.dialect.document('t."values"', "parsed")
        shown = [
            "t.id"
            if field.name == "Id"
            else self._known(field, "t.deleted_at", self.table.value_in(field, document))
            for field in self.fields
        ]
        stamp = self.table.value_in(self.cursor, document) if self.cursor else "NULL"
        until = self.table.dialect.moment("t.deleted_at")
        unknown = self._unknown("t.deleted_at")
        facts = (_earlier(stamp, until), until, "NULL", "NULL", "'delete'", "t.master", unknown)
        return (
            f"SELECT {self._select(shown, facts)} FROM _rts_tombstone AS t{parsing}"
            f' WHERE t.object={text(self.table.name)} AND t."values" IS NOT NULL AND NOT EXISTS'
            f" (SELECT 1 FROM _rts_journal AS j WHERE {_applied('j', self.table)} AND j.id = t.id)"
        )

    def _row(self, field: Field) -> str:
        return f"r.{self.table.dialect.column(field.name)}"

    def _select(self, values: Sequence[str], facts: Sequence[str]) -> str:
        names = [self.table.dialect.column(field.name) for field in self.fields]
        columns = zip((*values, *facts), (*names, *FACTS), strict=True)
        return ", ".join(f"{value} AS {name}" for value, name in columns)

    def _told(self, field: Field, seq: str) -> str:
        """Return what an entry says that the field's value was; without an entry, what the row has."""
        value = (
            f"(SELECT {self.table.value_in(field, 'n.before')} FROM _rts_journal AS n WHERE n.seq = {seq})"
        )
        return f"CASE WHEN {seq} IS NULL THEN {self._row(field)} ELSE {value} END"

    def _known(self, field: Field, until: str, value: str) -> str:
        """Return a value, or NULL in a version that had ended before the field was known."""
        since = self.table.dialect.text_in(self._knowledge(), field.name)
        return f"CASE WHEN {until} > COALESCE({since}, '') THEN {value} END"

    def _unknown(self, until: str) -> str:
        """Return the JSON list of the fields that are not known in a version; NULL where all are."""
        return self.table.dialect.keys_since(self._knowledge(), until)

    def _knowledge(self) -> str:
        return f"(SELECT m.value FROM _rts_meta AS m WHERE m.key={text(_key(self.table.name))})"


def _value_before(table: Table, field: Field, since: str | None) -> str:
    """Return a field's value before the entry `u`."""
    if field.name == "Id":
        return "u.id"
    about = f"FROM _rts_journal AS n WHERE {_applied('n', table)} AND n.id = u.id AND n.seq >= u.seq"
    teller = f"{about} AND ({_tells('n', 'n.before', table, field)})"
    told = f"(SELECT {table.value_in(field, 'n.before')} {teller} ORDER BY n.seq LIMIT 1)"
    value = f"CASE WHEN EXISTS (SELECT 1 {teller}) THEN {told} ELSE r.{table.dialect.column(field.name)} END"
    return f"CASE WHEN u.at > {text(since)} THEN {value} END" if since else value


def _tells(entry: str, document: str, table: Table, field: Field) -> str:
    """Return whether an entry tells a field's value before it, or that nothing does: the record was new."""
    return f"{entry}.before IS NULL OR {table.dialect.has_value(document, field.name)}"


def _earlier(moment: str, other: str) -> str:
    return f"CASE WHEN {moment} > {other} THEN {other} ELSE {moment} END"


def _applied(entry: str, table: Table) -> str:
    return f"{entry}.object={text(table.name)} AND {entry}.type='change' AND {entry}.outcome='applied'"


def _key(object_name: str) -> str:
    return f"known since {object_name}"
