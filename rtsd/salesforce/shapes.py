"""The shapes of the org's answers: the one door that every body passes before anything uses it.

A proxy, a maintenance page or a fault of the org may answer 200 with no body or with anything else. Each call
names the shape that it can use; whatever does not have it becomes a SalesforceError, which is retried later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from rtsd.core.ids import full_id, is_id
from rtsd.core.instant import from_iso, normal_iso
from rtsd.errors import SalesforceError

T = TypeVar("T")

ODD = "UNEXPECTED_ANSWER"
"""The reason of the errors raised here; it is none of Salesforce's."""
_DO = "rtsd asks again later. If it lasts, look for a proxy or a maintenance page between rtsd and the org."

Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)]
"""A number that SQLite and JSON can hold."""
Count = Annotated[int, Meta(ge=0, le=2**53)]
RecordId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]{15}([A-Za-z0-9]{3})?\Z")]
Key = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9]+\Z")]
"""The id of a job, which becomes part of a path."""
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z][A-Za-z0-9_]*\Z")]
"""The API name of an object or a field, which becomes part of statements and paths."""
Row = dict[str, Any]


class PageShape(Struct, rename="camel"):
    """A page of a query (REST API guide, Query)."""

    records: list[Row]
    total_size: Count
    done: bool


class DeletionShape(Struct, rename="camel"):
    """An entry of the delete log."""

    id: RecordId
    deleted_date: str

    def __post_init__(self) -> None:
        from_iso(self.deleted_date)


class DeletionsShape(Struct, rename="camel"):
    """The delete log (REST API guide, sObject Get Deleted)."""

    deleted_records: list[DeletionShape]
    earliest_date_available: str
    latest_date_covered: str

    def __post_init__(self) -> None:
        from_iso(self.earliest_date_available)
        from_iso(self.latest_date_covered)


class LimitShape(Struct):
    """An entry of `/limits`; further keys may nest other entries."""

    Max: Whole
    Remaining: Whole


class OrganizationShape(Struct):
    """The Organization record; only its Id is certain to be visible."""

    Id: RecordId
    Name: str | None = None
    OrganizationType: str | None = None
    IsSandbox: bool | None = None


class UserInfoShape(Struct):
    """The current user (OAuth userinfo)."""

    user_id: RecordId
    preferred_username: str | None = None


class LoginShape(Struct):
    """A token endpoint's success (Salesforce Help, OAuth Authorization Flows)."""

    access_token: Annotated[str, Meta(pattern=r"\A[!-~]+\Z")]
    """Goes into a header."""
    instance_url: str | None = None
    id: str | None = None
    refresh_token: str | None = None


class JobShape(Struct, rename="camel"):
    """A Bulk API 2.0 query job (Bulk API 2.0 guide, Get Information About a Query Job)."""

    id: Key
    state: str
    created_date: str | None = None
    number_records_processed: Count | None = None
    error_message: str | None = None

    def __post_init__(self) -> None:
        if self.created_date is not None:
            from_iso(self.created_date)


class FieldShape(Struct, rename="camel"):
    """A field of a describe (REST API guide, sObject Describe)."""

    name: Name
    type: str
    calculated: bool = False
    filterable: bool = True
    soap_type: str = ""
    compound_field_name: str | None = None
    """The compound field that this one is a component of."""


class DescribeShape(Struct):
    """An object's describe."""

    name: Name
    fields: list[FieldShape]
    queryable: bool = True
    replicateable: bool = False

    def __post_init__(self) -> None:
        if len({field.name.lower() for field in self.fields}) < len(self.fields):
            raise ValueError("the describe names a field twice")


class ListedShape(Struct):
    """An object of the global describe."""

    name: Name
    triggerable: bool = True


class ListShape(Struct):
    """The global describe."""

    sobjects: list[ListedShape]


class PartShape(Struct, rename="camel"):
    """The part of a composite call."""

    http_status_code: Annotated[int, Meta(ge=100, le=599)]
    body: Any


class CompositeShape(Struct, rename="camel"):
    """A composite call with a single part (REST API guide, Composite)."""

    composite_response: Annotated[list[PartShape], Meta(min_length=1)]


class DetailsShape(Struct, rename="camel"):
    """The details of a deployment; a list with a single item may be a bare object."""

    component_successes: list[Row] | Row | None = None
    component_failures: list[Row] | Row | None = None
    run_test_result: Row | None = None
    run_test_results: Row | None = None


class DeploymentShape(Struct, rename="camel"):
    """The result of a deployment; booleans and numbers may be text."""

    done: Any = None
    success: Any = None
    check_only: Any = None
    status: Any = None
    state_detail: Any = None
    error_message: Any = None
    number_components_deployed: Any = None
    number_components_total: Any = None
    number_tests_completed: Any = None
    number_tests_total: Any = None
    details: DetailsShape | None = None


class DeployRequestShape(Struct, rename="camel"):
    """A deployment (Metadata API guide, Deploy and Retrieve Metadata with REST)."""

    id: Key
    deploy_result: DeploymentShape | None = None


class ResultShape(Struct):
    """What became of a record in a collections call (REST API guide, sObject Collections)."""

    success: bool
    errors: list[Row] = []


class DayShape(Struct):
    """Rows of a day: see `soql.by_day`."""

    d: str
    n: Count
    m: str

    def __post_init__(self) -> None:
        self.d = date.fromisoformat(self.d).isoformat()
        self.m = normal_iso(self.m)


class HourShape(Struct):
    """Rows of an hour: see `soql.by_hour`."""

    h: Annotated[int, Meta(ge=0, le=23)]
    n: Count


class EarliestShape(Struct):
    """The earliest stamp: see `soql.earliest`."""

    m: str

    def __post_init__(self) -> None:
        self.m = normal_iso(self.m)


class NotJson(ValueError):
    """The body is empty, or no JSON."""


def decoded(text: str, shape: type[T], *, what: str) -> T:
    """Decode a body as a `shape`. Raises NotJson, or SalesforceError for JSON of another shape."""
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.ValidationError, RecursionError) as cause:
        raise odd(what, str(cause)) from cause
    except msgspec.DecodeError as cause:
        raise NotJson(str(cause)) from cause


def shaped(data: Any, shape: type[T], *, what: str = "", strict: bool = True) -> T:
    """Return decoded JSON as a `shape`. Raises SalesforceError; `what` was asked for."""
    try:
        return msgspec.convert(data, shape, strict=strict)
    except (msgspec.ValidationError, RecursionError) as cause:
        raise odd(what, str(cause)) from cause


def odd(what: str, why: str) -> SalesforceError:
    """The error of an answer that cannot be used."""
    about = f" to {what}" if what else ""
    return SalesforceError(f"Salesforce sent an unusable answer{about}: {why}.", _DO, status=200, reason=ODD)


def require_columns(records: Iterable[Mapping[str, Any] | None], columns: Iterable[str], stamp: str) -> None:
    """Check that each record has every column, an id, and a date-time as its stamp, if `stamp` is among them.

    Raises SalesforceError: an absent value would be taken for an empty or an unchanged one.
    """
    wanted = frozenset(columns)
    stamped = stamp in wanted
    for record in records:
        if record is None:
            continue
        if not record.keys() >= wanted:
            raise odd("a query", f"a record lacks {min(wanted - record.keys())}")
        found = record["Id"]
        if not isinstance(found, str) or not is_id(found):
            raise odd("a query", "a record's Id is none")
        if stamped:
            try:
                normal_iso(record[stamp])
            except (ValueError, TypeError) as cause:
                raise odd("a query", f"the {stamp} of {full_id(found)} is not a date-time") from cause
