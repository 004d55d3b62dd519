"""Generator of any number of rows, fast and in constant memory.

A row has a few values of its own (id, stamps, names, references) and takes the rest from pools of prepared
values; the pools' sizes share no factor, so that combinations do not repeat.
"""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from rtssim import ids
from rtssim.clock import stamp
from rtssim.database import Pool, quote
from rtssim.sample_data import random_values, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from rtssim.records.rows import Rows
    from rtssim.schema.model import Field, ObjectType

    _Row = tuple[Any, ...]
    _Own = tuple[tuple[str, ...], Callable[[int], _Row]]  # column names, and their values for row n

DEFAULT_RECORDS: Mapping[str, int] = {
    "Account": 5_000,
    "Contact": 20_000,
    "Lead": 12_000,
    "Opportunity": 6_000,
    "Task": 3_980,
    "Campaign": 50,
    "CampaignMember": 2_000,
    "Invoice__c": 950,
    "Attachment": 20,
}
_POOLS = (1009, 757, 509)
_YEARS = 5
_SHARED_SECOND = 50  # every 50th row has the stamp of the same mass update
_LONG_TEXT = 4001  # every 4001st row has texts that fill their fields
_PARENTS = 20_000
_STAMPS = 40_000


class Generator:
    """Writes generated rows directly into the database, before anyone reads it."""

    def __init__(self, rows: Rows, now: datetime, seed: int, users: Sequence[str]) -> None:
        self._rows = rows
        self._now = now
        self._seed = seed
        self._users = users
        self._parents: dict[str, list[str]] = {}
        self.rng = Random(seed)

    def fill(self, records: Mapping[str, int]) -> None:
        """Generate `records[name]` rows of each object, parents first."""
        for name in [*DEFAULT_RECORDS, *(name for name in records if name not in DEFAULT_RECORDS)]:
            count = records.get(name, 0)
            if count > 0:
                self._fill(self._rows.schema[name], count)

    def _fill(self, obj: ObjectType, count: int) -> None:
        self.rng = Random(f"{self._seed} {obj.name}")
        first = self._rows.reserve(obj, count)
        own = _OWN[obj.name](self) if obj.name in _OWN else _named(obj)
        system = [name for name in _SYSTEM if name in obj.fields and name not in own[0]]
        pooled = [field for field in obj.stored_fields() if field.name not in {*own[0], *system}]
        slices = [pooled[at :: len(_POOLS)] for at in range(len(_POOLS))]
        pools = [self._pool(part, min(size, count)) for part, size in zip(slices, _POOLS, strict=True)]
        heads = self._heads(obj, first, count, system)
        rows = (head + own[1](n) for n, head in enumerate(heads))
        self._rows.database.load(obj, [*system, *own[0]], rows, pools)
        if obj.name in ("Account", "Contact", "Lead", "Opportunity", "Campaign"):
            new_ids = ids.sequence(obj.prefix, self._rows.instances[0], first)
            self._parents[obj.name] = [next(new_ids) for _ in range(min(count, _PARENTS))]
        self._fill_texts(obj)

    def _pool(self, fields: Sequence[Field], size: int) -> Pool:
        rows = [tuple(random_values.value(field, self.rng) for field in fields) for _ in range(size)]
        return Pool([field.name for field in fields], rows)

    def _heads(self, obj: ObjectType, first: int, count: int, system: Sequence[str]) -> Iterator[_Row]:
        """Yield the values of `system` columns: ids and stamps ascend, and many rows share a second."""
        moments = self._moments(count)
        last, users = len(moments) - 1, self._users
        mass = moments[last // 2]
        new_ids = ids.sequence(obj.prefix, self._rows.instances[0], first)
        kept = [_SYSTEM.index(name) for name in system]
        whole = len(kept) == len(_SYSTEM)
        for n in range(count):
            at = n * last // count
            changed = moments[last - (last - at) * (n * 31 % 97) // 97]
            if n % _SHARED_SECOND == 7 and at < last // 2:
                changed = mass
            user, owner = users[n % 7 % len(users)], users[n * 5 % len(users)]
            head: _Row = (next(new_ids), 0, moments[at], user, changed, user, changed, owner)
            yield head if whole else tuple(head[index] for index in kept)

    def _moments(self, count: int) -> list[str]:
        """Return ascending stamps over the last years, far fewer than rows: bulk loads share a second."""
        size = max(2, min(_STAMPS, count // 3))
        span = _YEARS * 365 * 86400
        begin = self._now - timedelta(seconds=span)
        return [stamp(begin + timedelta(seconds=span * at // size)) for at in range(size)]

    def _fill_texts(self, obj: ObjectType) -> None:
        long = [f for f in obj.stored_fields() if f.type == "textarea" and f.length > 4000 and f.createable]
        for field in long:
            text = random_values.long_text(self.rng, min(field.length, 32768))
            self._rows.database.execute(
                f"UPDATE {quote(obj.name)} SET {quote(field.name)} = ? WHERE rowid % {_LONG_TEXT} = 5", [text]
            )

    # -- references ------------------------------------------------------------------------------------
    def parent(self, name: str, n: int) -> str | None:
        """Return a parent for row `n`; low ids get more children than high ones."""
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


def _named(obj: ObjectType) -> _Own:
    name = obj.name_field()
    if name is None or not name.stored:
        return (), lambda _: ()
    label = obj.label
    return (name.name,), lambda n: (f"{label} {n}",)


def _people(rng: Random) -> list[tuple[str | None, str, str | None]]:
    return [random_values.person(rng) for _ in range(997)]


def _account(generator: Generator) -> _Own:
    names = [random_values.company(generator.rng) for _ in range(997)]

    def own(n: int) -> tuple[Any, ...]:
        return f"{names[n % 997]} {n}", f"ERP-{n:08d}" if n % 4 else None, None

    return ("Name", "ERP_Key__c", "MasterRecordId"), own


def _contact(generator: Generator) -> _Own:
    people = _people(generator.rng)
    domains = words.split(words.DOMAINS)

    def own(n: int) -> tuple[Any, ...]:
        first, last, salutation = people[n % 997]
        mail = f"contact.{n}@{domains[n % 4]}" if n % 11 else None
        return first, last, salutation, mail, generator.parent("Account", n), f"C-{n:09d}" if n % 5 else None

    return ("FirstName", "LastName", "Salutation", "Email", "AccountId", "External_Key__c"), own


def _lead(generator: Generator) -> _Own:
    people = _people(generator.rng)

    def own(n: int) -> tuple[Any, ...]:
        first, last, salutation = people[n * 3 % 997]
        return first, last, salutation, f"lead.{n}@example.com" if n % 7 else None, f"L-{n:09d}", 0

    return ("FirstName", "LastName", "Salutation", "Email", "Lead_Key__c", "IsConverted"), own


def _opportunity(generator: Generator) -> _Own:
    products = words.split(words.PRODUCTS)

    def own(n: int) -> tuple[Any, ...]:
        return (
            f"{products[n % len(products)]} #{n}",
            generator.parent("Account", n * 3),
            generator.parent("Campaign", n) if n % 5 == 0 else None,
        )

    return ("Name", "AccountId", "CampaignId"), own


def _task(generator: Generator) -> _Own:
    def own(n: int) -> tuple[Any, ...]:
        if n % 3 == 0:
            return generator.parent("Lead", n), None
        target = ("Account", "Opportunity", "Campaign")[n % 7 % 3]
        return generator.parent("Contact", n), generator.parent(target, n)

    return ("WhoId", "WhatId"), own


def _member(generator: Generator) -> _Own:
    def own(n: int) -> tuple[Any, ...]:
        campaign = generator.parent("Campaign", n if n % 29 != 3 else n + 1)
        lead = generator.parent("Lead", n) if n % 2 else None
        return campaign, lead, None if lead else generator.parent("Contact", n)

    return ("CampaignId", "LeadId", "ContactId"), own


def _invoice(generator: Generator) -> _Own:
    def own(n: int) -> tuple[Any, ...]:
        return (
            f"Invoice {n}",
            f"R-{n:07d}",
            generator.parent("Account", n),
            generator.parent("Contact", n) if n % 2 else None,
        )

    return ("Name", "Number__c", "Account__c", "Contact__c"), own


def _attachment(generator: Generator) -> _Own:
    def own(n: int) -> tuple[Any, ...]:
        body = f"File {n}: ünïcode ☕\n".encode()
        parent = generator.parent("Account", n if n % 29 != 3 else n + 1)
        return parent, f"note {n}.txt", body, len(body)

    return ("ParentId", "Name", "Body", "BodyLength"), own


_OWN: dict[str, Callable[[Generator], _Own]] = {
    "Account": _account,
    "Contact": _contact,
    "Lead": _lead,
    "Opportunity": _opportunity,
    "Task": _task,
    "CampaignMember": _member,
    "Invoice__c": _invoice,
    "Attachment": _attachment,
}
