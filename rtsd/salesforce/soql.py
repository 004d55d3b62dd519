"""SOQL text: quoting, SELECT lists, keyset conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rtsd.core.instant import Millis, from_iso, soql_literal

MOST_COLUMNS = 50_000
"""Characters of a field list, which leaves room for conditions and the ids of a call."""

_ESCAPES = str.maketrans(
    {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)


def text(value: str) -> str:
    """Quote a string literal."""
    return f"'{value.translate(_ESCAPES)}'"


def moment(value: Millis | str) -> str:
    """A date-time literal (unquoted) in whole seconds, from milliseconds or ISO text."""
    return soql_literal(from_iso(value) if isinstance(value, str) else value)


def one_of(field: str, values: Sequence[str]) -> str:
    """`field IN ('a','b')`."""
    return f"{field} IN ({','.join(map(text, values))})"


def all_of(*conditions: str) -> str:
    """Join the non-empty conditions with AND, in parentheses as they may contain an OR."""
    present = [condition for condition in conditions if condition]
    return present[0] if len(present) == 1 else " AND ".join(f"({condition})" for condition in present)


def select(
    fields: Sequence[str], object_name: str, where: str = "", *, order_by: str = "", limit: int = 0
) -> str:
    """Build a SELECT; empty `where`, `order_by` and `limit` are omitted."""
    statement = f"SELECT {','.join(fields)} FROM {object_name}"  # noqa: S608  SOQL, whose values `text` quotes
    if where:
        statement += f" WHERE {where}"
    if order_by:
        statement += f" ORDER BY {order_by}"
    if limit:
        statement += f" LIMIT {limit}"
    return statement


def select_list(soql: str) -> list[str]:
    """The names between SELECT and FROM as written, for statements without functions and subqueries."""
    head = soql.split(None, 1)[1]
    names = head[: _from_at(head)]
    return [name.strip() for name in names.split(",")]


def _from_at(head: str) -> int:
    position = head.lower().replace("\n", " ").find(" from ")
    if position < 0:
        raise ValueError("the statement has no FROM")
    return position


def after_id(last_id: str) -> str:
    """The keyset condition for paging with `order_by="Id"`; empty for the first page."""
    return f"Id > {text(last_id)}" if last_id else ""


def after_stamp(cursor: str, stamp: Millis | str, last_id: str) -> str:
    """The keyset condition for paging with `order_by=f"{cursor},Id"`.

    Stamps have whole seconds, so a bulk edit gives thousands of rows the same one; paging by the stamp alone
    would lose or repeat rows (not documented; supaglue-labs/supaglue#532).
    """
    at = moment(stamp)
    return f"{cursor} > {at} OR ({cursor} = {at} AND Id > {text(last_id)})"


def column_chunks(
    fields: Sequence[str], *, most_characters: int, always: Sequence[str]
) -> Iterator[list[str]]:
    """Split a field list into chunks of at most `most_characters` characters.

    The `always` fields lead every chunk: Id joins the rows, and the stamp reveals a row that changed between
    two chunks.
    """
    lead = [name for name in always if name in fields]
    base = sum(len(name) + 1 for name in lead)
    chunk, size = list(lead), base
    for name in fields:
        if name in lead:
            continue
        if size + len(name) + 1 > most_characters and len(chunk) > len(lead):
            yield chunk
            chunk, size = list(lead), base
        chunk.append(name)
        size += len(name) + 1
    yield chunk
