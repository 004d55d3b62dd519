"""What is done to private values, before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.image import as_dict, picked
from rtsd.core.payload import Changes, Push, PushedChange
from rtsd.core.privacy import (
    MaskedPush,
    MaskedRecord,
    Privacy,
    convert,
    convert_alike,
    csv_rows,
    masked_push,
    masks,
    stored_push,
)
from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.core.values import mirror_value

KEY = b"k" * 32
RULES = {"Phone": "hash", "email": "last4", "Title": "drop"}
PRIVACY = Privacy(RULES, KEY)
SCHEMA = ObjectSchema(
    "Contact",
    tuple(Field(name, "string", Kind.TEXT) for name in ("Id", "Phone", "Email", "Title", "Name")),
    cursor=None,
)
EVERY_KIND = ObjectSchema(
    "Thing",
    (Field("Note", "string", Kind.TEXT), *(Field(kind.name, "x", kind) for kind in Kind)),
    cursor=None,
)


def stored(push: MaskedPush) -> Push:
    """A push as it is read from the inbox, which must be as it still is in memory."""
    found = stored_push(push.body).read()
    assert found == push.read()
    return found


def test_a_hash_tells_equal_from_unequal_and_nothing_else() -> None:
    """Same value, same hash; another mirror's key, another hash; NULL stays NULL."""
    hashed, elsewhere = masks({"Phone": "hash"}, KEY)["phone"], masks({"Phone": "hash"}, b"o" * 32)["phone"]
    assert hashed("+49 30 1") == hashed("+49 30 1")
    assert hashed("+49 30 1") != hashed("+49 30 2")
    assert hashed("+49 30 1") != elsewhere("+49 30 1")
    assert len(str(hashed("+49 30 1"))) == 32
    assert hashed(None) is None


@pytest.mark.parametrize(
    ("value", "kept"), [("+49 30 123456", "3456"), ("12", "12"), (None, None), ("ü🚀ab!", "🚀ab!")]
)
def test_last4(value: str | None, kept: str | None) -> None:
    """The last four characters, not bytes."""
    assert masks({"Phone": "last4"}, KEY)["phone"](value) == kept


def test_a_dropped_field_needs_no_mask() -> None:
    """It has no column."""
    assert masks({"Phone": "drop"}, KEY) == {}


def test_every_way_in_gives_the_same_values() -> None:
    """JSON, CSV text and a push of one record: what is compared with each other later must be equal."""
    values = {"Id": "1", "phone": "+49 30 1", "EMAIL": "a@b.example", "Title": "Dr", "Name": "n"}
    record = as_dict(convert(SCHEMA, PRIVACY.record(dict(values))))
    (row,) = PRIVACY.rows(list(values), [list(values.values())]).records()
    push = Changes(v=1, org="o", changes=[PushedChange(object="Contact", op="update", id="1", fields=values)])
    pushed = stored(masked_push(push, {"Contact": PRIVACY}.get))
    assert isinstance(pushed, Changes)
    assert record == convert(SCHEMA, row)
    assert record.pop("Title") is None
    assert pushed.changes[0].fields is not None
    assert convert(SCHEMA, PRIVACY.record({})) == {}
    assert {name.lower(): value for name, value in pushed.changes[0].fields.items()} == {
        name.lower(): value for name, value in record.items()
    }
    assert record["Email"] == "mple"
    assert len(str(record["Phone"])) == 32


@pytest.mark.parametrize("empty", ["", None, "\0"])
def test_what_is_empty_stays_empty(empty: str | None) -> None:
    """Salesforce stores no empty text: its hash would differ from the NULL that a read brings."""
    fields = {"Phone": empty, "Email": empty, "Title": empty}
    PRIVACY.push(fields)
    assert fields == {"Phone": None, "Email": None}
    assert PRIVACY.rows(["Phone", "Email"], [["", ""]]).rows == [["", ""]]


def test_what_orders_versions_stays() -> None:
    """A read without its stamp or id could not go on; a push has both outside of its fields."""
    privacy = Privacy({"SystemModstamp": "drop", "Id": "drop"}, KEY)
    assert privacy.record({"Id": "1", "SystemModstamp": "s"}) == {"Id": "1", "SystemModstamp": "s"}


def test_objects_that_are_not_mirrored_have_no_rules() -> None:
    """Their pushes become dead letters as they came."""
    change = PushedChange(object="Lead", op="update", id="1", fields={"Phone": "1"})
    push = Changes(v=1, org="o", changes=[change, PushedChange(object="Contact", op="delete", id="2")])
    assert stored(masked_push(push, {"Contact": PRIVACY}.get)) == push


def test_records_as_csv_rows() -> None:
    """As the Bulk API writes values; masks are not applied twice."""
    record = PRIVACY.record({"Id": "1", "Phone": "2", "A": True, "B": None, "C": 1.5, "D": {"x": "ü"}})
    rows = csv_rows([record], ("Id", "A", "B", "C", "D", "Phone"))
    assert rows.rows == [["1", "true", "", "1.5", '{"x": "ü"}', record["Phone"]]]
    assert rows.ids == ["1"]


def test_fields_that_are_not_mirrored_do_not_enter() -> None:
    """A push loses what `exclude` names; what says that a row is deleted is still read."""
    excluding = Privacy({"Title": "drop"}, KEY, exclude=("Phone", "IsDeleted"))
    pushed = {"Id": "1", "phone": "p", "Title": "t", "Name": "n"}
    excluding.push(pushed)
    assert pushed == {"Id": "1", "Name": "n"}
    read = excluding.record({"Id": "1", "Phone": "p", "IsDeleted": True})
    assert dict(read) == {"Id": "1", "Phone": None, "IsDeleted": True}
    listed = {"Id": "1", "Phone": "p", "SystemModstamp": "s", "Name": "n"}
    Privacy({}, KEY, fields=("name",)).push(listed)
    assert listed == {"Id": "1", "SystemModstamp": "s", "Name": "n"}


@given(
    st.dictionaries(
        st.sampled_from([*EVERY_KIND.names, "Unknown", "notE"]),
        st.none()
        | st.sampled_from(["", "a", "\0", "é\0b", "2026-03-01T10:00:00.000+0000", True, 7, 0.5, {}]),
    )
)
def test_records_are_converted_value_by_value(record: dict[str, Any]) -> None:
    """Whole texts are not converted one by one, and yet come out as if they were."""
    one_by_one: dict[str, Any] = {}
    try:
        for name, value in record.items():
            field = EVERY_KIND.by_lower_name.get(name.lower())
            if field is not None:
                one_by_one[field.name] = mirror_value(field.kind, value)
    except ValueError:
        with pytest.raises(ValueError, match="is not a valid"):
            convert(EVERY_KIND, MaskedRecord(dict(record)))
    else:
        assert convert(EVERY_KIND, MaskedRecord(dict(record))) == one_by_one


_VALUES = {
    Kind.TEXT: st.sampled_from(["", "a", "\0", "é\0b", True, 7, 0.5]),
    Kind.BOOLEAN: st.sampled_from([True, False, "true", 1, 0.0]),
    Kind.INT: st.sampled_from([0, 7, 2**63 - 1, 1.0, "12", "0.0"]),
    Kind.REAL: st.sampled_from([0, 7, 1.5, -0.0, "1e3", 2**70]),
    Kind.DATE: st.sampled_from(["2026-03-01", "20260301", 20260301, ""]),
    Kind.DATETIME: st.sampled_from(["2026-03-01T10:00:00.000+0000", "2026-03-01T10:00:00Z", ""]),
    Kind.TIME: st.sampled_from(["10:00:00.000Z", "10:00:00", ""]),
}
_WRONG = st.sampled_from(["x", {}, [], 2**64, 1e308, "inf", -1])
_WHOLE = st.fixed_dictionaries({field.name: st.none() | _VALUES[field.kind] for field in EVERY_KIND.fields})


@given(st.lists(_WHOLE, max_size=4), st.none() | st.sampled_from(EVERY_KIND.names), _WRONG)
def test_records_are_converted_together_as_alone(
    records: list[dict[str, Any]], odd: str | None, wrong: Any
) -> None:
    """The same values of the same types, or an error just as well."""
    if odd and records:
        records[-1][odd] = wrong
    masked = [MaskedRecord(dict(record)) for record in records]
    try:
        alone = [picked(convert(EVERY_KIND, record), EVERY_KIND.names) for record in masked]
    except ValueError:
        with pytest.raises(ValueError, match="is not a valid"):
            convert_alike(EVERY_KIND, masked)
    else:
        together = [picked(values, EVERY_KIND.names) for values in convert_alike(EVERY_KIND, masked)]
        assert repr(together) == repr(alone)
    assert masked == records
