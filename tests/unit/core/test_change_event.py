"""Change events as changes: what an update tells, and everything that only the record itself can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from rtsd.core.change_event import Header, change_event, header_of
from rtsd.core.field_bitmap import layout_of
from rtsd.core.payload import PushedChange
from rtsd.core.schema import Kind

FIRST, SECOND = "003Qx000000000AAAQ", "003Qx000000000BAAQ"
COMMITTED, MODIFIED = 1_772_359_200_123, 1_772_359_199_000
TEXTS = ["null", "string"]
PARTS = [{"name": name, "type": TEXTS} for name in ("FirstName", "LastName")]
NAME = ["null", "string", {"type": "record", "name": "Switchable_PersonName", "fields": PARTS}]
FIELDS = {
    "ChangeEventHeader": "string",
    "Name": NAME,
    "Title": TEXTS,
    "Birthdate": ["null", "long"],
    "DoNotCall": ["null", "boolean"],
    "Amount__c": ["null", "double"],
    "Wakes__c": ["null", "long"],
    "LastModifiedDate": ["null", "long"],
    "Secret__c": TEXTS,
    "New__c": TEXTS,
}
LAYOUT = layout_of(
    {"name": "ContactChangeEvent", "fields": [{"name": n, "type": t} for n, t in FIELDS.items()]}
)
KINDS: dict[str, Kind | Literal["unmirrored"]] = {
    "FirstName": Kind.TEXT,
    "LastName": Kind.TEXT,
    "Name": Kind.TEXT,
    "Title": Kind.TEXT,
    "Birthdate": Kind.DATE,
    "DoNotCall": Kind.BOOLEAN,
    "Amount__c": Kind.REAL,
    "Wakes__c": Kind.TIME,
    "LastModifiedDate": Kind.DATETIME,
    "Secret__c": "unmirrored",
}
PLACES = {name: place for place, name in enumerate(FIELDS)}


def bits(*names: str) -> str:
    """The bitmap of top-level fields."""
    return f"0x{sum(1 << PLACES[name] for name in names):X}"


def event(kind: str, values: Mapping[str, Any] | None = None, **header: Any) -> Any:
    """What an event means; the header's fields may be replaced."""
    head = {
        "entityName": "Contact",
        "recordIds": [FIRST],
        "changeType": kind,
        "transactionKey": "t",
        "sequenceNumber": 1,
        "commitTimestamp": COMMITTED,
        "commitNumber": 7,
        "commitUser": "005Qx000000000AAAQ",
        **header,
    }
    record = {
        "ChangeEventHeader": head,
        **dict.fromkeys(FIELDS.keys() - {"ChangeEventHeader"}),
        **(values or {}),
    }
    return change_event(header_of(record), record, LAYOUT, KINDS.get)


def change(kind: str, values: Mapping[str, Any] | None = None, **header: Any) -> PushedChange:
    """The only change of an event."""
    (found,) = event(kind, values, **header).changes
    assert isinstance(found, PushedChange)
    return found


def test_an_update_has_the_fields_that_it_lists() -> None:
    """Nulls only where they are meant, values as REST has them; LastModifiedDate orders them."""
    listed = [bits("Title", "Birthdate", "DoNotCall", "Amount__c", "LastModifiedDate"), "1-0x2"]
    values = {
        "Name": {"FirstName": None, "LastName": "Ünal"},
        "Birthdate": -86_400_000,
        "DoNotCall": False,
        "Amount__c": 2.5,
        "LastModifiedDate": MODIFIED,
    }
    found = change("UPDATE", values, changedFields=listed, nulledFields=[bits("Title")])
    assert found.fields == {
        "LastName": "Ünal",
        "Title": None,
        "Birthdate": "1969-12-31",
        "DoNotCall": False,
        "Amount__c": 2.5,
        "LastModifiedDate": "2026-03-01T09:59:59.000Z",
    }
    assert (found.op, found.id, found.modstamp) == ("update", FIRST, "2026-03-01T09:59:59.000Z")
    assert found.changed == ["Amount__c", "Birthdate", "DoNotCall", "LastName", "Title"]
    assert found.by == "005Qx000000000AAAQ"


def test_the_commit_orders_an_update_without_its_time() -> None:
    """Where LastModifiedDate is not listed, which not every org's events do."""
    found = change("UPDATE", {"Title": "t"}, changedFields=[bits("Title")])
    assert (found.fields, found.modstamp) == ({"Title": "t"}, "2026-03-01T10:00:00.000Z")
    assert found.partial


def test_a_create_has_every_field() -> None:
    """Unlisted nulls included, except those that are not mirrored."""
    values = {"Name": {"FirstName": "A", "LastName": "B"}, "LastModifiedDate": MODIFIED, "Secret__c": "s"}
    found = change("CREATE", {**values, "New__c": "n"}, recordIds=[FIRST])
    assert (found.fields, found.changed) == (None, ["New__c"])  # rtsd describes the object, and fetches it
    assert change("CREATE", values).fields is not None  # it may be hidden from the user
    known = KINDS | {"New__c": Kind.TEXT}
    record = {"ChangeEventHeader": {}, **dict.fromkeys(FIELDS), **values}
    head = Header("Contact", [FIRST], "CREATE", "t", 1, COMMITTED, 7)
    (found,) = change_event(head, record, LAYOUT, known.get).changes
    assert found.fields is not None
    assert found.fields.keys() == known.keys() - {"Secret__c", "Name"}
    assert (found.fields["FirstName"], found.fields["Title"]) == ("A", None)


def test_an_undelete_has_every_field() -> None:
    """As a create; its LastModifiedDate is that of the last edit, so the commit orders it."""
    found = change("UNDELETE", {"Title": "t", "LastModifiedDate": MODIFIED})
    assert found.fields is not None
    assert (found.op, found.partial, found.fields["Title"]) == ("undelete", True, "t")
    assert (found.modstamp, found.changed) == ("2026-03-01T10:00:00.000Z", [])


def test_a_name_may_be_a_text() -> None:
    """Of a business among person accounts: then its own bit means the text."""
    values = {"Name": "Acme", "LastModifiedDate": MODIFIED}
    found = change("UPDATE", values, changedFields=[bits("Name", "LastModifiedDate")])
    assert found.fields == {"Name": "Acme", "LastModifiedDate": "2026-03-01T09:59:59.000Z"}
    assert found.changed == ["Name"]


def test_several_records() -> None:
    """An update is applied to each; a create does not say whose values it has, so they are fetched."""
    listed = [bits("Title", "LastModifiedDate")]
    values = {"Title": "t", "LastModifiedDate": MODIFIED}
    both = event("UPDATE", values, recordIds=[FIRST, SECOND], changedFields=listed).changes
    assert [(found.id, found.fields["Title"]) for found in both] == [(FIRST, "t"), (SECOND, "t")]
    both = event("CREATE", values, recordIds=[FIRST, SECOND]).changes
    assert [(found.id, found.fields) for found in both] == [(FIRST, None), (SECOND, None)]


def test_a_delete_has_the_time_of_its_commit() -> None:
    """In whole seconds, as stamps have."""
    found = change("DELETE")
    assert (found.op, found.modstamp, found.fields) == ("delete", "2026-03-01T10:00:00.000Z", None)


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("GAP_CREATE", {}),
        ("GAP_UPDATE", {"changedFields": [bits("Title")]}),
        ("GAP_DELETE", {}),
        ("GAP_UNDELETE", {}),
        ("UPDATE", {"changedFields": [bits("Title", "LastModifiedDate")], "diffFields": [bits("Title")]}),
        ("UPDATE", {"changedFields": [bits("Title", "LastModifiedDate"), "0xFFFFFF"]}),
        ("UPDATE", {"changedFields": [bits("Title", "LastModifiedDate"), "nonsense"]}),
        ("UPDATE", {"changedFields": [bits("New__c", "LastModifiedDate")]}),
        (
            "UPDATE",
            {"changedFields": [bits("Wakes__c", "LastModifiedDate")]},
        ),  # the unit of a time is unknown
    ],
)
def test_what_only_the_record_tells(kind: str, header: dict[str, Any]) -> None:
    """The change names the record and nothing else, so it is fetched."""
    values = {"Title": "t", "LastModifiedDate": MODIFIED, "Wakes__c": 3_600_000}
    found = change(kind, values, **header)
    assert (found.id, found.op) == (FIRST, kind.removeprefix("GAP_").lower())
    assert (found.fields, found.modstamp) == (None, None)


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("GAP_OVERFLOW", ["000000000000000AAA"]),
        ("GAP_UPDATE", ["003*"]),
        ("UPDATE", ["003*"]),
        ("UPDATE", []),
    ],
)
def test_what_names_no_record(kind: str, ids: list[str]) -> None:
    """The whole object is read from its cursor."""
    found = event(kind, recordIds=ids)
    assert found.changes == ()
    assert found.reread


def test_what_is_no_change_event() -> None:
    """An unknown type, a header of another shape, no header: errors, as dropping them would lose a change."""
    with pytest.raises(ValueError, match="unknown type"):
        event("SNAPSHOT")
    with pytest.raises(ValueError, match="not a change event"):
        event("UPDATE", recordIds="x")
    with pytest.raises(ValueError, match="not a change event"):
        header_of({"Title": "x"})
