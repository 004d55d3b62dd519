"""Shapes of objects for tests of prices, and how a price is compared with its bill.

A price is a number of API calls and, where rows may differ, the number to which repairs may raise it. The
bill has to lie between the two, or beside them by no more than a fifth, or two calls where there are few.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rtsd.control.protocol import Estimate
from rtsd.core.quota import API_REQUESTS
from rtsd.store import quota
from rtssim.schema.fields import audit as stamps
from rtssim.schema.fields import ident, text
from rtssim.schema.model import ObjectType
from tests.support.inprocess.stand import Stand, Standing

Prepare = Callable[[Standing], Awaitable[Stand]]

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
SHARE = 0.2
"""The most by which a price may be off."""
FEW = 2
"""The calls by which it may be off, however few there are."""
RANGE = 16
"""The calls that a range may go beyond a small bill: those of eight days searched by the hour."""


def fits(price: Estimate, bill: int) -> bool:
    """Whether the bill lies within the price, or close beside it, and the price says something."""
    least, most = price.api_calls or 0, price.api_calls_with_repairs or 0
    spare = max(SHARE * bill, FEW)
    return least - spare <= bill <= most + spare and most - bill <= max(bill, RANGE)


def told(price: Estimate) -> str:
    """The price in words."""
    least, most = price.api_calls, price.api_calls_with_repairs
    return f"{least}" if least == most else f"{least} to {most}"


async def drawn(org: Stand) -> int:
    """The API calls in the ledger."""
    return (await quota.spent_by_resource(org.parts.base.database, 0)).get(API_REQUESTS, 0)


# -- the shapes of objects ---------------------------------------------------------------------------
async def at_noon(stand: Standing, records: Mapping[str, int], **options: Any) -> Stand:
    """An org at noon, whatever the time is here, with sessions that outlast the test."""
    org = await stand(dict(records), **options)
    await org.simulated.control("switches", {"session_minutes": 9_999})
    org.advance(DAY_S - org.now() // 1000 % DAY_S + 12 * HOUR_S)
    return org


def of(records: Mapping[str, int], **options: Any) -> Prepare:
    """Generated records; `options` are those of the stand."""

    async def prepare(stand: Standing) -> Stand:
        return await at_noon(stand, records, **options)

    return prepare


async def wide(stand: Standing) -> Stand:
    """Rows of 800 fields, of which a statement may select 300."""
    org = await at_noon(stand, {}, objects={"Wide__c": {}})
    columns = [ident(), text("Name", 80, name_field=True), *stamps()]
    columns += [text(f"Field_number_{n:04d}_of_a_wide_object__c", 60) for n in range(800)]
    org.org.add_object(_object("Wide__c", "a0W", columns))
    org.org.switches.most_columns = 300
    org.create("Wide__c", 40, Name="wide")
    org.advance(HOUR_S)
    return org


async def stampless(stand: Standing) -> Stand:
    """Rows without any stamp."""
    org = await at_noon(stand, {}, objects={"Plain__c": {}}, formula_refresh="6h")
    org.org.add_object(_object("Plain__c", "a0P", [ident(), text("Name", 80, name_field=True)]))
    org.create("Plain__c", 50, Name="plain")
    return org


def _object(name: str, prefix: str, fields: list[Any]) -> ObjectType:
    return ObjectType(name, name, name, prefix, {field.name: field for field in fields})


async def recent(stand: Standing) -> Stand:
    """4,600 rows, all written a minute ago."""
    org = await at_noon(stand, {"Lead": 0})
    await written(org, 23)
    return org


async def recent_and_filtered(stand: Standing) -> Stand:
    """4,600 rows, all written a minute ago, of which the filter takes 200."""
    org = await at_noon(stand, {"Lead": 0}, objects={"Lead": {"where": "Company = 'Keep'"}})
    org.create("Lead", 200, Company="Keep")
    await written(org, 22)
    return org


async def written(org: Stand, transactions: int) -> None:
    """Write leads, 200 at a time, and let a minute pass."""
    for _ in range(transactions):
        org.create("Lead", 200)
    org.advance(60)


async def by_rest(stand: Standing) -> Stand:
    """Rows of an object that the Bulk API refuses."""
    org = await at_noon(stand, {"Lead": 3_000})
    org.org.switches.bulk_refuses = frozenset({"Lead"})
    return org


EIGHT = ("Lead", "Contact", "Account", "Opportunity", "Campaign", "CampaignMember", "Task", "Invoice__c")
LEADS = of({"Lead": 3_000})
FILTERED = of({"Lead": 3_000}, objects={"Lead": {"where": "Rating = 'Hot'"}})
