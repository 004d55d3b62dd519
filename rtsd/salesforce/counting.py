"""Row counts, also of objects that are too large for a single query."""

from __future__ import annotations

from rtsd.core.instant import HOUR_MS, Millis, from_iso
from rtsd.core.schema import ObjectSchema
from rtsd.errors import SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client

QUERY_TIMEOUT = "QUERY_TIMEOUT"
TOO_SLOW = (QUERY_TIMEOUT, "OPERATION_TOO_LARGE", "QUERY_TOO_COMPLICATED")
"""Error codes that a smaller query may avoid (a SOQL query is limited to two minutes: Query Limits)."""
FIRST: Millis = from_iso("1999-01-01T00:00:00.000Z")
LAST: Millis = from_iso("2039-01-01T00:00:00.000Z")
"""The initial range to halve; the first and last part include everything outside."""
SHORTEST_MS: Millis = HOUR_MS
"""The shortest range to halve: if counting an hour is too slow, rows are not the reason."""


async def count_rows(client: Client, schema: ObjectSchema, where: str = "", *, purpose: str) -> int:
    """Count the rows that match `where`, in one call or, if that is too slow, in halves.

    Splits by CreatedDate, which never changes, or else by the stamp. Raises the client's errors.
    """
    try:
        return await client.count(soql.count(schema.name, where), purpose=purpose)
    except SalesforceError as error:
        stamp = "CreatedDate" if "CreatedDate" in schema.by_name else schema.cursor
        if error.reason not in TOO_SLOW or not stamp:
            raise
        if error.reason == QUERY_TIMEOUT:  # if the smallest count times out, too, the org is slow
            smallest = soql.count(schema.name, soql.all_of(soql.before(stamp, FIRST), where))
            await client.count(smallest, purpose=purpose)
    return await _in_halves(client, (schema.name, stamp, where), (FIRST, LAST), purpose)


async def _in_halves(
    client: Client, what: tuple[str, str, str], span: tuple[Millis, Millis], purpose: str
) -> int:
    name, stamp, where = what
    start, end = span
    middle = (start + end) // 2000 * 1000
    total = 0
    for since, before in ((start, middle), (middle, end)):
        condition = soql.all_of(
            soql.since(stamp, since) if since != FIRST else "",
            soql.before(stamp, before) if before != LAST else "",
            where,
        )
        try:
            total += await client.count(soql.count(name, condition), purpose=purpose)
        except SalesforceError as error:
            if error.reason not in TOO_SLOW or before - since <= SHORTEST_MS:
                raise
            total += await _in_halves(client, what, (since, before), purpose)
    return total
