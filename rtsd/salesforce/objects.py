"""Describes -> core.schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtsd.core.schema import ObjectSchema
from rtsd.salesforce.client import Client
from rtsd.salesforce.ledger import Observed


@dataclass(frozen=True, slots=True)
class Described:
    """One object's describe: the schema, the raw answer, and the `Last-Modified` to ask with next time."""

    schema: ObjectSchema
    raw: dict[str, Any]
    last_modified: str
    observed: Observed


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of the org, as the global describe lists it."""

    name: str
    label: str
    key_prefix: str | None
    queryable: bool
    replicateable: bool
    createable: bool
    custom: bool


async def describe(
    client: Client, name: str, *, modified_since: str = "", purpose: str = "describe"
) -> Described | None:
    """Describe one object; None when it has not changed since `modified_since` (an earlier `last_modified`).

    Raises ObjectUnavailable when the org has no such object or hides it.
    """
    raise NotImplementedError


async def list_objects(client: Client, *, purpose: str = "describe") -> dict[str, Listed]:
    """Every object the sync user sees, by name (describeGlobal)."""
    raise NotImplementedError
