"""Fills an org: set-up rows, then any number of CRM rows, in constant memory and fast.

A row is a few values of its own (id, stamps, names, references) and slices of pools of prepared values;
the pools' sizes share no factor, so that combinations do not repeat.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from rtsd.simulator import ids
from rtsd.simulator.data import values, words
from rtsd.simulator.soql.literals import stamp
from rtsd.simulator.store import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from rtsd.simulator.rows import Rows
    from rtsd.simulator.schema.model import Field, ObjectType

DEFAULT_RECORDS: Mapping[str, int] = {
    "Account": 5_000,
    "Contact": 20_000,
    "Lead": 12_000,
    "Opportunity": 6_000,
    "Task": 4_000,
    "Campaign": 50,
    "CampaignMember": 2_000,
    "Invoice__c": 950,
    "Attachment": 20,
}
_POOLS = (1009, 757, 509)
_YEARS = 5
_SHARED_SECOND = 50  # every so manieth row carries the stamp of one mass update
_LONG_TEXT = 4001  # every so manieth row has texts that fill their fields
_PARENTS = 20_000
_STAMPS = 40_000
Maker = "Callable[[int], tuple[Any, ...]]"


class Generator:
    """Writes generated rows straight into the store, before anyone reads it."""

    def __init__(self, rows: Rows, now: datetime, seed: int, users: Sequence[str]) -> None:
        self._rows = rows
        self._now = now
        self._seed = seed
        self._users = users
        self._parents: dict[str, list[str]] = {}

    def fill(self, records: Mapping[str, int]) -> None:
        """Generate `records[name]` rows of each object, parents first."""
        for name in [*DEFAULT_RECORDS, *(name for name in records if name not in DEFAULT_RECORDS)]:
            count = records.get(name, 0)
            if count > 0:
                self._fill(self._rows.schema[name], count)

    def _fill(self, obj: ObjectType, count: int) -> None:
        first = self._rows.reserve(obj, count)
        rng = Random(f"{self._seed} {obj.name}")
        own_names, own = _OWN.get(obj.name, _plain)(self, obj, rng)
        system = [name for name in _SYSTEM if name in obj.fields and name not in own_names]
        taken = {*own_names, *system}
        pooled = [field for field in obj.stored_fields() if field.name not in taken]
        slices = [pooled[at :: len(_POOLS)] for at in range(len(_POOLS))]
        names = [*system, *own_names, *(field.name for part in slices for field in part)]
        pools = [self._pool(part, min(size, count), rng) for part, size in zip(slices, _POOLS, strict=True)]
        marks = ", ".join("?" * len(names))
        sql = f"INSERT INTO {quote(obj.name)} ({', '.join(map(quote, names))}) VALUES ({marks})"
        self._rows.store.load(sql, self._rows_of(obj, first, count, system, own, pools))
        if obj.name in ("Account", "Contact", "Lead", "Opportunity", "Campaign"):
            made = ids.sequence(obj.prefix, self._rows.instances[0], first)
            self._parents[obj.name] = [next(made) for _ in range(min(count, _PARENTS))]
        self._fill_texts(obj, rng)

    @staticmethod
    def _pool(fields: Sequence[Field], size: int, rng: Random) -> list[tuple[Any, ...]]:
        return [tuple(values.value(field, rng) for field in fields) for _ in range(size)]

    def _rows_of(
        self,
        obj: ObjectType,
        first: int,
        count: int,
        system: Sequence[str],
        own: Callable[[int], tuple[Any, ...]],
        pools: Sequence[Sequence[tuple[Any, ...]]],
    ) -> Iterator[tuple[Any, ...]]:
        moments = self._moments(count)
        last, users = len(moments) - 1, self._users
        mass = moments[last // 2]
        made = ids.sequence(obj.prefix, self._rows.instances[0], first)
        pool_a, pool_b, pool_c = pools
        size_a, size_b, size_c = map(len, pools)
        keep = [_SYSTEM.index(name) for name in system]
        whole = keep == list(range(len(_SYSTEM)))
        for n in range(count):
            at = n * last // count
            created = moments[at]
            changed = mass if n % _SHARED_SECOND == 7 and at < last // 2 else moments[last - (last - at) * (n * 31 % 97) // 97]
            user, owner = users[n % 7 % len(users)], users[n * 5 % len(users)]
            head: tuple[Any, ...] = (next(made), 0, created, user, changed, user, changed, owner)
            if not whole:
                head = tuple(head[index] for index in keep)
            yield head + own(n) + pool_a[n % size_a] + pool_b[n % size_b] + pool_c[n % size_c]

    def _moments(self, count: int) -> list[str]:
        """Ascending stamps over the last years; far fewer than rows, as bulk loads share a second."""
        size = max(2, min(_STAMPS, count // 3))
        span = _YEARS * 365 * 86400
        begin = self._now - timedelta(seconds=span)
        return [stamp(begin + timedelta(seconds=span * at // size)) for at in range(size)]

    def _fill_texts(self, obj: ObjectType, rng: Random) -> None:
        long = [f for f in obj.stored_fields() if f.type == "textarea" and f.length > 4000 and f.createable]
        for field in long:
            text = values.long_text(rng, min(field.length, 32768))
            self._rows.store.execute(
                f"UPDATE {quote(obj.name)} SET {quote(field.name)} = ? WHERE rowid % {_LONG_TEXT} = 5", [text]
            )

    # -- values a row has of its own ---------------------------------------------------------------------------
    def parent(self, name: str, n: int) -> str | None:
        """Return a parent for row `n`: the low ids get more children than the high ones."""
        known = self._parents.get(name)
        if not known or n % 29 == 3:
            return None
        return known[n * 7919 % len(known) if n % 3 else n % (len(known) // 10 + 1)]


_SYSTEM = (
    "Id",
    "IsDeleted",
    "CreatedDate",
    "CreatedById",
    "LastModifiedDate",
    "LastModifiedById",
    "SystemModstamp",
    "OwnerId",
)
_Own = "tuple[tuple[str, ...], Callable[[int], tuple[Any, ...]]]"


def _plain(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    name = obj.name_field()
    if name is None or not name.stored:
        return (), lambda _: ()
    label = obj.label
    return ("Name",), lambda n: (f"{label} {n}",)


def _people(rng: Random) -> list[tuple[str | None, str, str | None]]:
    return [values.person(rng) for _ in range(997)]


def _account(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    names = [values.company(rng) for _ in range(997)]

    def own(n: int) -> tuple[Any, ...]:
        return f"{names[n % 997]} {n}", f"ERP-{n:08d}" if n % 4 else None, None

    return ("Name", "ERP_Key__c", "MasterRecordId"), own


def _contact(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    people = _people(rng)
    domains = words.split(words.DOMAINS)

    def own(n: int) -> tuple[Any, ...]:
        first, last, salutation = people[n % 997]
        mail = f"contact.{n}@{domains[n % 4]}" if n % 11 else None
        return first, last, salutation, mail, generator.parent("Account", n), f"C-{n:09d}" if n % 5 else None

    return ("FirstName", "LastName", "Salutation", "Email", "AccountId", "External_Key__c"), own


def _lead(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    people = _people(rng)

    def own(n: int) -> tuple[Any, ...]:
        first, last, salutation = people[n * 3 % 997]
        return first, last, salutation, f"lead.{n}@example.com" if n % 7 else None, f"L-{n:09d}", 0

    return ("FirstName", "LastName", "Salutation", "Email", "Lead_Key__c", "IsConverted"), own


def _opportunity(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    products = words.split(words.PRODUCTS)

    def own(n: int) -> tuple[Any, ...]:
        return (
            f"{products[n % len(products)]} #{n}",
            generator.parent("Account", n * 3),
            generator.parent("Campaign", n) if n % 5 == 0 else None,
        )

    return ("Name", "AccountId", "CampaignId"), own


def _task(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    def own(n: int) -> tuple[Any, ...]:
        if n % 3 == 0:
            return generator.parent("Lead", n), None
        what = ("Account", "Opportunity", "Campaign")[n % 7 % 3]
        return generator.parent("Contact", n), generator.parent(what, n)

    return ("WhoId", "WhatId"), own


def _member(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    def own(n: int) -> tuple[Any, ...]:
        campaign = generator.parent("Campaign", n if n % 29 != 3 else n + 1)
        lead = generator.parent("Lead", n) if n % 2 else None
        return campaign, lead, None if lead else generator.parent("Contact", n)

    return ("CampaignId", "LeadId", "ContactId"), own


def _invoice(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    def own(n: int) -> tuple[Any, ...]:
        return (
            f"Invoice {n}",
            f"R-{n:07d}",
            generator.parent("Account", n),
            generator.parent("Contact", n) if n % 2 else None,
        )

    return ("Name", "Number__c", "Account__c", "Contact__c"), own


def _attachment(generator: Generator, obj: ObjectType, rng: Random) -> Any:
    def own(n: int) -> tuple[Any, ...]:
        body = f"File {n}: ünïcode ☕\n".encode()
        parent = generator.parent("Account", n if n % 29 != 3 else n + 1)
        return parent, f"note {n}.txt", body, len(body)

    return ("ParentId", "Name", "Body", "BodyLength"), own


_OWN: dict[str, Callable[[Generator, ObjectType, Random], Any]] = {
    "Account": _account,
    "Contact": _contact,
    "Lead": _lead,
    "Opportunity": _opportunity,
    "Task": _task,
    "CampaignMember": _member,
    "Invoice__c": _invoice,
    "Attachment": _attachment,
}
