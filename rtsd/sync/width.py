"""Objects too wide for one query: their columns in parts that the org takes, joined on Id.

How wide is too wide depends on the fields: formulas expand inside a statement, so the org may refuse a
SELECT of 800 fields that is far below the 100,000 characters it allows (QUERY_TOO_COMPLICATED; SOAP API
guide, ExceptionCode). A refusal halves what one statement may select, for as long as the daemon runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from rtsd.errors import SalesforceError
from rtsd.salesforce import soql
from rtsd.sync.catalog import MirroredObject

CELLS = 100_000
"""Values in one transaction: few enough that pushes wait some ms and memory stays small."""
MOST_ROWS = 5_000
REST_PAGE = 2_000
NARROWEST = 500
"""Characters of a field list below which a refusal has another cause than its length."""
TOO_WIDE = "QUERY_TOO_COMPLICATED"

T = TypeVar("T")

log = structlog.get_logger("rtsd.width")


def chunk_rows(columns: int) -> int:
    """How many rows of so many columns go into one transaction."""
    return max(min(CELLS // max(columns, 1), MOST_ROWS), 100)


def parts(mirrored: MirroredObject) -> list[list[str]]:
    """The mirrored columns in as many parts as needed; Id and the stamp lead each of them."""
    schema = mirrored.described.schema
    return list(
        soql.column_chunks(
            schema.names,
            most_characters=mirrored.most_characters,
            always=("Id", *([schema.cursor] if schema.cursor else [])),
        )
    )


async def fitting(mirrored: MirroredObject, read: Callable[[], Awaitable[T]]) -> T:
    """Run `read`, which goes by `parts`, again with narrower ones while the org refuses their width."""
    while True:
        try:
            return await read()
        except SalesforceError as error:
            if error.reason != TOO_WIDE or not _narrow(mirrored):
                raise
            log.info("too wide", object=mirrored.name, parts=len(parts(mirrored)))


def _narrow(mirrored: MirroredObject) -> bool:
    """Halve what one statement may select; False when that can't be the cause."""
    longest = max(sum(len(name) + 1 for name in part) for part in parts(mirrored))
    if longest <= NARROWEST:
        return False
    mirrored.most_characters = longest // 2
    return True
