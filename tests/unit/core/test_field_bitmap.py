"""Bitmaps of fields: Salesforce's vectors, every spelling, and what must not pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.field_bitmap import EventLayout, layout_of, listed, part_field

ADDRESS = ["Street", "City", "State", "PostalCode", "Country", "Latitude", "Longitude", "GeocodeAccuracy"]
ACCOUNT = [
    *("ChangeEventHeader", "Name", "Type", "ParentId", "BillingAddress", "ShippingAddress", "Phone", "Fax"),
    *("AccountNumber", "Website", "Sic", "Industry", "AnnualRevenue", "NumberOfEmployees", "Ownership"),
    *("TickerSymbol", "Description", "Rating", "Site", "OwnerId", "CreatedDate", "CreatedById"),
    *("LastModifiedDate", "LastModifiedById"),
]


def account() -> EventLayout:
    """Account's event in the order of Salesforce's samples; the second address refers to the first's type."""
    parts = [{"name": name, "type": ["null", "string"]} for name in ADDRESS]
    kinds: dict[str, Any] = {
        "BillingAddress": ["null", {"type": "record", "name": "Address", "fields": parts}],
        "ShippingAddress": ["null", "Address"],
    }
    fields = [{"name": name, "type": kinds.get(name, ["null", "string"])} for name in ACCOUNT]
    return layout_of({"type": "record", "name": "AccountChangeEvent", "fields": fields})


@pytest.mark.parametrize(
    ("bitmaps", "names"),
    [
        (["0x400800"], {"Industry", "LastModifiedDate"}),
        (["0x400000", "4-0x01"], {"LastModifiedDate", "BillingStreet"}),
        (["0x410000"], {"Description", "LastModifiedDate"}),
        (["0x010000"], {"Description"}),
        (["4-0x06"], {"BillingCity", "BillingState"}),
        (["4-0x06", "5-0x80"], {"BillingCity", "BillingState", "ShippingGeocodeAccuracy"}),
        (["0xA"], {"Name", "ParentId"}),
        (["0xa"], {"Name", "ParentId"}),
        (["0x10"], {f"Billing{part}" for part in ADDRESS}),
        (["0x0"], set()),
        ([], set()),
    ],
)
def test_vectors(bitmaps: list[str], names: set[str]) -> None:
    """Top level, nested, nested alone, both cases, an odd number of digits, a compound by its own bit."""
    assert listed(account(), bitmaps) == names


@pytest.mark.parametrize(
    "bitmap", ["", "0x", "400800", "x1", "-0x01", "4-", "0x1000000", "4-0x100", "99-0x01", "6-0x01"]
)
def test_what_is_no_bitmap_of_this_event(bitmap: str) -> None:
    """Malformed, or with a bit beyond the schema: never dropped in silence."""
    with pytest.raises(ValueError, match="bit"):
        listed(account(), ["0x400000", bitmap])


@given(st.sets(st.integers(1, len(ACCOUNT) - 1)).filter(lambda places: not places & {4, 5}))
def test_each_bit_is_its_field(places: set[int]) -> None:
    """Whatever the set of fields."""
    bitmap = f"0x{sum(1 << place for place in places):X}"
    assert listed(account(), [bitmap]) == {ACCOUNT[place] for place in places}


def test_a_record_at_any_place_of_its_union_is_a_compound() -> None:
    """At the second, or at the third, as with person accounts."""
    record = {
        "type": "record",
        "name": "Switchable_PersonName",
        "fields": [{"name": "FirstName", "type": "string"}],
    }
    for union in (["null", record], ["string", record], ["null", "string", record]):
        layout = layout_of(
            {"name": "E", "fields": [{"name": "H", "type": "string"}, {"name": "Name", "type": union}]}
        )
        assert listed(layout, ["1-0x1"]) == {"FirstName"}


@pytest.mark.parametrize(
    ("compound", "part", "name"),
    [
        ("BillingAddress", "City", "BillingCity"),
        ("Address", "Street", "Street"),
        ("Name", "LastName", "LastName"),
        ("Where_Is_It__c", "Latitude", "Where_Is_It__Latitude__s"),
    ],
)
def test_parts_are_fields_of_the_org(compound: str, part: str, name: str) -> None:
    """By the names that REST has for them."""
    assert part_field(compound, part) == name


def test_another_schema_is_no_layout() -> None:
    """Whatever Salesforce sends instead of a record."""
    with pytest.raises(ValueError, match="Avro record"):
        layout_of({"type": "enum", "name": "x"})
