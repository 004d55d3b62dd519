"""How many rows an object has, also where one query is too slow to tell."""

from __future__ import annotations

from rtsd.core.instant import Millis, from_iso
from rtsd.core.schema import ObjectSchema
from rtsd.errors import SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client

TOO_SLOW = ("QUERY_TIMEOUT", "OPERATION_TOO_LARGE", "QUERY_TOO_COMPLICATED")
"""Refusals that a smaller question may get around (SOQL runs for two minutes: Query Limits)."""
FIRST: Millis = from_iso("1999-01-01T00:00:00.000Z")
LAST: Millis = from_iso("2039-01-01T00:00:00.000Z")
"""Where halving begins; what lies outside belongs to the first and the last part."""
SHORTEST_MS: Millis = 3_600_000
"""Rows of one hour are not counted in parts: that they are too many has another cause."""


async def count_rows(client: Client, schema: ObjectSchema, where: str = "", *, purpose: str) -> int:
    """Count the rows for which `where` holds: in one call, or half by half where that takes too long.

    Halves go by CreatedDate, which never changes, else by the stamp. Raises what the client raises.
    """
    try:
        return await client.count(soql.count(schema.name, where), purpose=purpose)
    except SalesforceError as error:
        stamp = "CreatedDate" if "CreatedDate" in schema.by_name else schema.cursor
        if error.reason not in TOO_SLOW or not stamp:
            raise
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
