"""Describes -> core.schema. simple-salesforce asks; our session, time-outs and retries surround it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from simple_salesforce import Salesforce, SFType
from simple_salesforce.exceptions import SalesforceError as SimpleSalesforceError

from rtsd.core.schema import (
    BINARY_TYPES,
    COMPOUND_TYPES,
    CURSOR_PREFERENCE,
    Field,
    ObjectSchema,
    kind_of,
)
from rtsd.errors import ObjectUnavailable, OrgUnreachable
from rtsd.salesforce.connection import Connection
from rtsd.salesforce.exchange import ONE_CALL, Call, Reply
from rtsd.salesforce.ledger import Observed
from rtsd.salesforce.login import Token
from rtsd.salesforce.refusals import Refused, Remedy
from rtsd.salesforce.transport import LentSession, in_daemon_thread, unreachable


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
    triggerable: bool
    custom: bool


async def describe(
    connection: Connection, name: str, *, modified_since: str = "", purpose: str = "describe"
) -> Described | None:
    """Describe one object; None when it has not changed since `modified_since` (an earlier `last_modified`).

    Conditional describes go by If-Modified-Since, not by ETag (REST API guide, sObject Describe). Raises
    ObjectUnavailable when the org has no such object, hides it, or does not let it be queried.
    """
    headers = {"If-Modified-Since": modified_since} if modified_since else {}

    def ask(session: LentSession, token: Token) -> Any:
        host = urlsplit(token.instance_url).netloc
        version = connection.api_version
        kind = SFType(name, token.access_token, host, version, session=session, object_pairs_hook=dict)
        return kind.describe(headers=headers)

    reply = await _through_simple_salesforce(connection, purpose, ask)
    if reply.status == 304:
        return None
    schema = read_schema(reply.payload)
    return Described(schema, reply.payload, reply.headers.get("Last-Modified", ""), reply.observed)


async def list_objects(connection: Connection, *, purpose: str = "describe") -> dict[str, Listed]:
    """Every object the sync user sees, by name (describeGlobal)."""

    def ask(session: LentSession, token: Token) -> Any:
        return Salesforce(
            session_id=token.access_token,
            instance_url=token.instance_url,
            version=connection.api_version,
            session=session,
            object_pairs_hook=dict,
        ).describe()

    reply = await _through_simple_salesforce(connection, purpose, ask)
    return {
        entry["name"]: Listed(
            name=entry["name"],
            label=str(entry.get("label") or entry["name"]),
            key_prefix=entry.get("keyPrefix"),
            queryable=bool(entry.get("queryable")),
            replicateable=bool(entry.get("replicateable")),
            createable=bool(entry.get("createable")),
            triggerable=bool(entry.get("triggerable", True)),
            custom=bool(entry.get("custom")),
        )
        for entry in reply.payload["sobjects"]
    }


def read_schema(raw: dict[str, Any]) -> ObjectSchema:
    """Read a describe: the fields that can be mirrored, in its order, and the one that orders versions.

    Raises ObjectUnavailable when the object cannot be queried or has no Id.
    """
    fields = tuple(_field(entry) for entry in raw["fields"] if _is_mirrored(entry))
    if not raw.get("queryable", True) or not any(field.name == "Id" for field in fields):
        raise ObjectUnavailable(
            f"{raw['name']} cannot be queried.",
            "Take it out of [[objects]]: Salesforce offers no way to read it.",
        )
    filterable = {field.name for field in fields if field.filterable}
    return ObjectSchema(
        name=raw["name"],
        fields=fields,
        cursor=next((name for name in CURSOR_PREFERENCE if name in filterable), None),
        key_prefix=raw.get("keyPrefix"),
        replicateable=bool(raw.get("replicateable", False)),
    )


def _field(entry: dict[str, Any]) -> Field:
    return Field(
        name=entry["name"],
        type=entry["type"],
        kind=kind_of(entry["type"]),
        calculated=bool(entry.get("calculated")),
        filterable=bool(entry.get("filterable", True)),
        reference_to=tuple(entry.get("referenceTo") or ()),
    )


def _is_mirrored(entry: dict[str, Any]) -> bool:
    """Leave out compounds, binaries, and lists of ids or names (soapType `urn:…`).

    Bulk jobs refuse the first two and never return the lists (Bulk API 2.0 guide, Query).
    """
    return entry["type"] not in COMPOUND_TYPES | BINARY_TYPES and not str(
        entry.get("soapType", "")
    ).startswith("urn:")


async def _through_simple_salesforce(
    connection: Connection, purpose: str, ask: Callable[[LentSession, Token], Any]
) -> Reply[Any]:
    """Run one simple-salesforce call in a thread, as one exchange: it neither logs in nor retries itself."""

    def blocking(token: Token) -> Reply[Any]:
        with LentSession(token.instance_url, connection.context, connection.timeouts) as session:
            try:
                payload = ask(session, token)
            except SimpleSalesforceError:
                payload = None  # the response itself is judged, in the exchange
            except ValueError as cause:
                error = OrgUnreachable(f"{token.instance_url} answered with something that is not JSON.")
                raise Refused(error, Remedy.RETRY) from cause
            except requests.RequestException as cause:
                raise unreachable(token.instance_url, cause) from cause
            if session.last is None:
                raise AssertionError("simple-salesforce returned without a call")
            text = session.last.text if session.last.status_code >= 300 else ""
            return Reply(session.last.status_code, session.last.headers, text, payload)

    return await connection.exchange.run(
        Call(purpose, ONE_CALL), lambda token: in_daemon_thread(lambda: blocking(token))
    )
