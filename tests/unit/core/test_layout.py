"""The names that other products give to objects and fields."""

from __future__ import annotations

import pytest

from rtsd.core.layout import (
    FALSE,
    NOTHING,
    NUMBER,
    SEEN,
    SYNCED,
    TRUE,
    Layout,
    snake,
    view_columns,
    view_name,
)
from rtsd.core.schema import Field, Kind, ObjectSchema


def described(*names: str) -> ObjectSchema:
    """An object with these fields."""
    return ObjectSchema("Thing__c", tuple(Field(name, "string", Kind.TEXT) for name in names), cursor=None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Account", "account"),
        ("OpportunityLineItem", "opportunity_line_item"),
        ("Product2", "product_2"),
        ("UserRole", "user_role"),
        ("Pricebook2Id", "pricebook_2_id"),
        ("SystemModstamp", "system_modstamp"),
        ("HasOpenActivity", "has_open_activity"),
        ("LastCURequestDate", "last_curequest_date"),
        ("Recurrence2PatternStartDate", "recurrence_2_pattern_start_date"),
        ("IsRecurrence2", "is_recurrence_2"),
        ("netsuite_conn__NetSuite_Id__c", "netsuite_conn_net_suite_id_c"),
        ("AVA_SFCPQ__AvaTaxMessage__c", "ava_sfcpq_ava_tax_message_c"),
    ],
)
def test_fivetrans_names(name: str, expected: str) -> None:
    """As the sources and the sample data of dbt_salesforce have them."""
    assert snake(name) == expected


def test_heroku_connects_columns() -> None:
    """The integer and the id first, the names in lower case, what every table there has besides."""
    assert view_columns(Layout.HEROKU_CONNECT, described("Id", "LastName", "IsDeleted"), {}) == {
        "id": NUMBER,
        "sfid": "id",
        "lastname": "lastname",
        "isdeleted": "isdeleted",
        "_hc_lastop": SYNCED,
        "_hc_err": NOTHING,
    }
    without = view_columns(Layout.HEROKU_CONNECT, described("Id"), {})
    assert without["isdeleted"] == FALSE


def test_fivetrans_columns() -> None:
    """The id stays the id; what dbt_salesforce reads besides."""
    assert view_columns(Layout.FIVETRAN, described("Id", "LastName"), {}) == {
        "id": "id",
        "last_name": "lastname",
        "_fivetran_synced": SEEN,
        "_fivetran_active": TRUE,
        "_fivetran_deleted": FALSE,
    }


@pytest.mark.parametrize("layout", list(Layout))
def test_a_view_keeps_its_columns_and_gets_new_ones_last(layout: Layout) -> None:
    """A removed field's column stays where it is, and knows where its values are."""
    before = view_columns(layout, described("Id", "LastName", "OldOne"), {})
    after = view_columns(layout, described("NewOne", "Id", "LastName"), before)
    assert list(after)[: len(before)] == list(before)
    assert {name: after[name] for name in before} == before
    assert [after[name] for name in list(after)[len(before) :]] == ["newone"]


def test_two_names_that_are_one_in_snake_case_stay_two() -> None:
    """Whoever came first keeps the name, also when it is removed and comes back."""
    first = view_columns(Layout.FIVETRAN, described("My_Size__c"), {})
    both = view_columns(Layout.FIVETRAN, described("MySize__c", "My_Size__c"), first)
    assert both["my_size_c"] == "my_size__c"
    (other,) = [name for name, source in both.items() if source == "mysize__c"]
    assert other.startswith("my_size_c_")
    alone = view_columns(Layout.FIVETRAN, described("MySize__c"), both)
    assert view_columns(Layout.FIVETRAN, described("My_Size__c", "MySize__c"), alone) == both
    assert view_name(Layout.FIVETRAN, "MyThing__c") == "my_thing_c"
    assert view_name(Layout.FIVETRAN, "My_Thing__c", {"my_thing_c"}) != "my_thing_c"
    assert view_name(Layout.HEROKU_CONNECT, "My_Thing__c") == "my_thing__c"
