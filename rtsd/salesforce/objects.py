"""Describes -> core.schema, queried with simple-salesforce over rtsd's session, time-outs and retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from simple_salesforce import Salesforce, SFType

from rtsd.core.schema import (
    BINARY_TYPES,
    COMPOUND_TYPES,
    CURSOR_PREFERENCE,
    Field,
    ObjectSchema,
    kind_of,
)
from rtsd.errors import ObjectUnavailable, OrgUnreachable, SalesforceError
from rtsd.salesforce.error_mapping import CallFailed, Recovery
from rtsd.salesforce.exchange import ONE_CALL, Call
from rtsd.salesforce.ledger import Observed
from rtsd.salesforce.login import Token
from rtsd.salesforce.responses import Response
from rtsd.salesforce.rest import RestConnection
from rtsd.salesforce.shapes import DescribeShape, FieldShape, ListShape, NotJson, decoded, odd
from rtsd.salesforce.transport import TargetSession, in_daemon_thread, unreachable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Described:
    """An object's describe: the schema, and `Last-Modified` for the next conditional call."""

    schema: ObjectSchema
    existing: tuple[str, ...]
    """Every visible field, including those that are never mirrored."""
    compounds: Mapping[str, tuple[str, ...]]
    """Compound field -> its components, such as MailingAddress -> MailingStreet, MailingCity, ..."""
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

    response = await _through_simple_salesforce(connection, purpose, ask, DescribeShape)
    if response.status == 304:
        return None
    found = response.data
    if found.name.lower() != name.lower():
        raise odd(f"the describe of {name}", f"it describes {found.name}")
    existing = tuple(field.name for field in found.fields)
    last_modified = response.headers.get("Last-Modified", "")
    return Described(read_schema(found), existing, _compounds(found), last_modified, response.observed)


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

    response = await _through_simple_salesforce(connection, purpose, ask, ListShape)
    return {entry.name: ListedObject(entry.name, entry.triggerable) for entry in response.data.sobjects}


def read_schema(found: DescribeShape) -> ObjectSchema:
    """Convert a describe: the fields that can be mirrored, in its order, and the field that orders versions.

    Raises ObjectUnavailable if the object is not queryable or has no Id.
    """
    fields = tuple(_field(entry) for entry in found.fields if _is_mirrored(entry))
    if not found.queryable or not any(field.name == "Id" for field in fields):
        raise ObjectUnavailable(
            f"{found.name} cannot be queried.",
            "Remove it from [[objects]]: Salesforce does not allow reading it.",
        )
    filterable = {field.name for field in fields if field.filterable}
    return ObjectSchema(
        name=found.name,
        fields=fields,
        cursor=next((name for name in CURSOR_PREFERENCE if name in filterable), None),
        replicateable=found.replicateable,
    )


def _compounds(found: DescribeShape) -> dict[str, tuple[str, ...]]:
    compounds = [entry.name for entry in found.fields if entry.type in COMPOUND_TYPES]
    return {
        name: tuple(entry.name for entry in found.fields if entry.compound_field_name == name)
        for name in compounds
    }


def _field(entry: FieldShape) -> Field:
    return Field(
        name=entry.name,
        type=entry.type,
        kind=kind_of(entry.type),
        calculated=entry.calculated,
        filterable=entry.filterable,
    )


def _is_mirrored(entry: FieldShape) -> bool:
    """Whether the field can be mirrored: no compound, no binary, no list of ids or names (soapType `urn:…`).

    Bulk jobs refuse the first two and never return the lists (Bulk API 2.0 guide, Query).
    """
    return entry.type not in COMPOUND_TYPES | BINARY_TYPES and not entry.soap_type.startswith("urn:")


async def _through_simple_salesforce(
    connection: RestConnection,
    purpose: str,
    ask: Callable[[TargetSession, Token], Any],
    shape: type[T],
) -> Response[T]:
    """Run a simple-salesforce call in a thread as one exchange, which handles login and retries."""

    def blocking(token: Token) -> Response[T]:
        with TargetSession(token.instance_url, connection.context, connection.timeouts) as session:
            try:
                ask(session, token)
            except requests.RequestException as cause:
                # one of them stands for a body that is not JSON, which is judged below
                if session.last is None or not isinstance(cause, requests.JSONDecodeError):
                    raise unreachable(token.instance_url, cause) from cause
            except Exception:  # whatever it makes of an odd answer: that is judged below
                if session.last is None:
                    raise
            if session.last is None:
                raise AssertionError("simple-salesforce returned without a call")
            return _judged(session.last, shape)

    return await connection.exchange.run(
        Call(purpose, ONE_CALL), lambda token: in_daemon_thread(lambda: blocking(token))
    )


def _judged(last: requests.Response, shape: type[T]) -> Response[T]:
    """Read the response itself: simple-salesforce fails in many ways on bodies that it does not expect."""
    if last.status_code >= 300:
        failed: Response[Any] = Response(last.status_code, last.headers, None, last.text)
        return failed
    text = last.content.decode("utf-8", "replace")
    try:
        data = decoded(text, shape, what="a describe")
    except NotJson as cause:
        error = OrgUnreachable("Salesforce sent a describe that is not JSON.", status=last.status_code)
        raise CallFailed(error, Recovery.RETRY) from cause
    except SalesforceError as error:
        raise CallFailed(error, Recovery.NONE) from error
    return Response(last.status_code, last.headers, data)
