"""Describes -> core.schema, queried with simple-salesforce over rtsd's session, time-outs and retries."""

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
from rtsd.salesforce.error_mapping import CallFailed, Recovery
from rtsd.salesforce.exchange import ONE_CALL, Call
from rtsd.salesforce.ledger import Observed
from rtsd.salesforce.login import Token
from rtsd.salesforce.responses import Response
from rtsd.salesforce.rest import RestConnection
from rtsd.salesforce.transport import TargetSession, in_daemon_thread, unreachable


@dataclass(frozen=True, slots=True)
class Described:
    """An object's describe: the schema, the raw JSON, and `Last-Modified` for the next conditional call."""

    schema: ObjectSchema
    raw: dict[str, Any]
    last_modified: str
    observed: Observed


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object of the org as listed by the global describe."""

    name: str
    triggerable: bool


async def describe(
    connection: RestConnection, name: str, *, modified_since: str = "", purpose: str = "describe"
) -> Described | None:
    """Describe an object; None if it has not changed since `modified_since` (an earlier `last_modified`).

    Conditional describes use If-Modified-Since, not ETag (REST API guide, sObject Describe). Raises
    ObjectUnavailable if the object is missing, hidden or not queryable.
    """
    headers = {"If-Modified-Since": modified_since} if modified_since else {}

    def ask(session: TargetSession, token: Token) -> Any:
        host = urlsplit(token.instance_url).netloc
        version = connection.api_version
        kind = SFType(name, token.access_token, host, version, session=session, object_pairs_hook=dict)
        return kind.describe(headers=headers)

    response = await _through_simple_salesforce(connection, purpose, ask)
    if response.status == 304:
        return None
    schema = read_schema(response.data)
    return Described(schema, response.data, response.headers.get("Last-Modified", ""), response.observed)


async def list_objects(connection: RestConnection, *, purpose: str = "describe") -> dict[str, ListedObject]:
    """The objects visible to the sync user, by name (describeGlobal)."""

    def ask(session: TargetSession, token: Token) -> Any:
        return Salesforce(
            session_id=token.access_token,
            instance_url=token.instance_url,
            version=connection.api_version,
            session=session,
            object_pairs_hook=dict,
        ).describe()

    response = await _through_simple_salesforce(connection, purpose, ask)
    return {
        entry["name"]: ListedObject(
            name=entry["name"],
            triggerable=bool(entry.get("triggerable", True)),
        )
        for entry in response.data["sobjects"]
    }


def read_schema(raw: dict[str, Any]) -> ObjectSchema:
    """Convert a describe: the fields that can be mirrored, in its order, and the field that orders versions.

    Raises ObjectUnavailable if the object is not queryable or has no Id.
    """
    fields = tuple(_field(entry) for entry in raw["fields"] if _is_mirrored(entry))
    if not raw.get("queryable", True) or not any(field.name == "Id" for field in fields):
        raise ObjectUnavailable(
            f"{raw['name']} cannot be queried.",
            "Remove it from [[objects]]: Salesforce does not allow reading it.",
        )
    filterable = {field.name for field in fields if field.filterable}
    return ObjectSchema(
        name=raw["name"],
        fields=fields,
        cursor=next((name for name in CURSOR_PREFERENCE if name in filterable), None),
        replicateable=bool(raw.get("replicateable", False)),
    )


def _field(entry: dict[str, Any]) -> Field:
    return Field(
        name=entry["name"],
        type=entry["type"],
        kind=kind_of(entry["type"]),
        calculated=bool(entry.get("calculated")),
        filterable=bool(entry.get("filterable", True)),
    )


def _is_mirrored(entry: dict[str, Any]) -> bool:
    """Whether the field can be mirrored: no compound, no binary, no list of ids or names (soapType `urn:…`).

    Bulk jobs refuse the first two and never return the lists (Bulk API 2.0 guide, Query).
    """
    return entry["type"] not in COMPOUND_TYPES | BINARY_TYPES and not str(
        entry.get("soapType", "")
    ).startswith("urn:")


async def _through_simple_salesforce(
    connection: RestConnection, purpose: str, ask: Callable[[TargetSession, Token], Any]
) -> Response[Any]:
    """Run a simple-salesforce call in a thread as one exchange, which handles login and retries."""

    def blocking(token: Token) -> Response[Any]:
        with TargetSession(token.instance_url, connection.context, connection.timeouts) as session:
            try:
                data = ask(session, token)
            except SimpleSalesforceError:
                data = None  # the exchange checks the response itself
            except ValueError as cause:
                error = OrgUnreachable(f"{token.instance_url} sent a response that is not JSON.")
                raise CallFailed(error, Recovery.RETRY) from cause
            except requests.RequestException as cause:
                raise unreachable(token.instance_url, cause) from cause
            if session.last is None:
                raise AssertionError("simple-salesforce returned without a call")
            error_body = session.last.text if session.last.status_code >= 300 else ""
            return Response(session.last.status_code, session.last.headers, data, error_body)

    return await connection.exchange.run(
        Call(purpose, ONE_CALL), lambda token: in_daemon_thread(lambda: blocking(token))
    )
