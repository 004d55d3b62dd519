"""From a describe to the schema of the mirror."""

from __future__ import annotations

from typing import Any

import pytest

from rtsd.core.schema import Kind
from rtsd.errors import ObjectUnavailable
from rtsd.salesforce.objects import read_schema
from rtsd.salesforce.shapes import DescribeShape, shaped


def field(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "soapType": "xsd:string", "filterable": True, **more}


def describe(*fields: dict[str, Any], **more: Any) -> DescribeShape:
    raw = {
        "name": "Thing__c",
        "keyPrefix": "a00",
        "queryable": True,
        "replicateable": True,
        "fields": fields,
        **more,
    }
    return shaped(raw, DescribeShape)


def test_fields_are_read_in_order_with_what_the_mirror_needs() -> None:
    """Kinds, formulas and references come from the describe."""
    schema = read_schema(
        describe(
            field("Id", "id"),
            field("Owner", "reference", referenceTo=["Group", "User"]),
            field("Rank", "double", calculated=True),
            field("SystemModstamp", "datetime"),
        )
    )
    assert schema.names == ("Id", "Owner", "Rank", "SystemModstamp")
    assert schema.by_name["Rank"].calculated
    assert schema.by_name["Rank"].kind is Kind.REAL
    assert schema.cursor == "SystemModstamp"
    assert schema.replicateable


def test_what_no_query_returns_is_left_out() -> None:
    """Compounds, binaries, and lists that Bulk never returns are no columns."""
    schema = read_schema(
        describe(
            field("Id", "id"),
            field("MailingAddress", "address", soapType="urn:address"),
            field("Spot__c", "location", soapType="urn:location"),
            field("Body", "base64"),
            field("TaskWhoIds", "reference", soapType="urn:JunctionIdListNames"),
            field("MailingCity"),
        )
    )
    assert schema.names == ("Id", "MailingCity")


@pytest.mark.parametrize(
    ("fields", "cursor"),
    [
        (
            [field("SystemModstamp", "datetime", filterable=False), field("CreatedDate", "datetime")],
            "CreatedDate",
        ),
        ([field("CreatedDate", "datetime"), field("LastModifiedDate", "datetime")], "LastModifiedDate"),
        ([field("LoginTime", "datetime")], "LoginTime"),
        ([field("Name")], None),
    ],
)
def test_the_cursor_is_the_best_field_that_can_be_filtered(
    fields: list[dict[str, Any]], cursor: str | None
) -> None:
    """A stamp that cannot be filtered is no cursor (ActivityFieldHistory has one)."""
    assert read_schema(describe(field("Id", "id"), *fields)).cursor == cursor


def test_an_object_that_cannot_be_queried_is_refused() -> None:
    """Neither a flag nor a missing Id is found out by a failing query later."""
    with pytest.raises(ObjectUnavailable, match="cannot be queried"):
        read_schema(describe(field("Id", "id"), queryable=False))
    with pytest.raises(ObjectUnavailable, match="cannot be queried"):
        read_schema(describe(field("Name")))
