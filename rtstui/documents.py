"""Documents that the control client hands over as JSON, in types: a record's past, why, a query's result.

Keys that a later daemon adds are ignored; what is missing has its default, so an older one is readable.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from rtsd.control.client import ControlClient, WrongProtocol
from rtsd.control.protocol import (
    Audits,
    Conditions,
    Event,
    PackageDetails,
    QuotaHistory,
    Rules,
    RuleTest,
)
from rtsd.errors import NotFound
from rtstui.answers import Question

T = TypeVar("T")


class Standing(msgspec.Struct):
    """A record as the mirror has it. `state`: live or deleted."""

    state: str
    values: dict[str, Any] | None = None
    seen_at: str | None = None
    source: str | None = None
    deleted_at: str | None = None
    master: str | None = None


class Version(msgspec.Struct):
    """One change of a record: each changed field's value before (`from`) and after (`to`)."""

    seq: int
    at: str
    op: str | None = None
    source: str | None = None
    changed: dict[str, dict[str, Any]] = {}
    master: str | None = None


class History(msgspec.Struct):
    """A record now, and how it came to be so, oldest first."""

    object: str
    id: str
    now: Standing | None = None
    versions: list[Version] = []


class InOrg(msgspec.Struct):
    """A record as the org shows it."""

    visible: bool
    deleted: bool | None = None
    values: dict[str, Any] | None = None


class Mirrored(msgspec.Struct):
    """What the mirror is told to do with the record's object."""

    state: str = ""
    error: str | None = None
    as_of: str | None = None
    proven_at: str | None = None
    conditions: list[str] = []
    where: str = ""
    privacy: dict[str, str] = {}


class Why(msgspec.Struct):
    """Everything that touched a record. `equal` is None where the org was not asked."""

    object: str
    id: str
    mirror: Standing | None = None
    org: InOrg | None = None
    equal: bool | None = None
    events: list[Event] = []
    dead_letters: int = 0
    to_be_fetched: str | None = None
    mirrored: Mirrored = msgspec.field(default_factory=Mirrored)


class Result(msgspec.Struct):
    """What a SELECT returned."""

    columns: list[str] = []
    rows: list[list[Any]] = []
    truncated: bool = False


def read(document: dict[str, Any], kind: type[T]) -> T:
    """The document in its type. Raises WrongProtocol where it is another one."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise WrongProtocol(f"rtsd's answer cannot be read: {error}.", "Upgrade rtstui.") from error


def audits() -> Question[Audits]:
    """The findings of audits; they come while one looks."""
    return Question("audits", "the list of audits", lambda client: client.audits(), every=5)


def quota_history() -> Question[QuotaHistory]:
    """Calls by hour, and the use of each limit over the last days."""

    async def ask(client: ControlClient) -> QuotaHistory:
        return read(await client.quota_history(), QuotaHistory)

    return Question("quota history", "the quota's history", ask, every=60)


def history(objects: tuple[str, ...], record: str) -> Question[History]:
    """A record's past; without knowing its object, that of the first object that has it."""

    async def ask(client: ControlClient) -> History:
        for name in objects[:-1]:
            try:
                return read(await client.history(name, record), History)
            except NotFound:
                continue
        return read(await client.history(objects[-1], record), History)

    return Question(f"record {objects} {record}", "this record's history", ask)


def why(name: str, record: str, *, ask_org: bool) -> Question[Why]:
    """Everything that touched a record; with `ask_org`, which costs one API call, how the org shows it."""

    async def ask(client: ControlClient) -> Why:
        return read(await client.why(name, record, ask_org=ask_org), Why)

    return Question(f"why {name} {record} {ask_org}", "what touched this record", ask)


def query(sql: str) -> Question[Result]:
    """What a SELECT returns now."""

    async def ask(client: ControlClient) -> Result:
        return read(await client.query(sql), Result)

    return Question(f"sql {sql}", "the answer to this query", ask)


def package() -> Question[PackageDetails]:
    """The Salesforce package, as far as it is known without asking the org."""
    return Question("package", "the Salesforce package", lambda client: client.package(), every=10)


def conditions(name: str) -> Question[Conditions]:
    """An object's sync conditions as rtsd last read them, for no call."""

    async def ask(client: ControlClient) -> Conditions:
        return read(await client.conditions(name, ask_org=False), Conditions)

    return Question(f"conditions {name}", f"the sync conditions of {name}", ask)


def rules() -> Question[Rules]:
    """Rules and alerts."""
    return Question("rules", "rules and alerts", lambda client: client.rules(), every=5)


def rule_test(name: str, since: str) -> Question[RuleTest]:
    """What a rule would have fired on."""
    return Question(
        f"test {name} {since}",
        "what the rule would have fired on",
        lambda client: client.test_rule(name, since),
    )
