"""What is mirrored of an object: the configuration's config against the org's describe."""

from __future__ import annotations

import pytest

from rtsd.core.schema import Field, Kind, ObjectConfig, ObjectSchema, kind_of, narrow

NAMES = {"Id": "id", "Name": "string", "Phone": "phone", "Amount": "currency", "SystemModstamp": "datetime"}
DESCRIBED = ObjectSchema(
    "Deal",
    tuple(Field(name, kind, kind_of(kind)) for name, kind in NAMES.items()),
    cursor="SystemModstamp",
)
EXISTING = (*NAMES, "Address", "IsDeleted")


def names(config: ObjectConfig) -> list[str]:
    """The columns that a config leads to."""
    return list(narrow(DESCRIBED, config, EXISTING).names)


def test_everything_is_wished_for_by_default() -> None:
    """And what is not mirrored is remembered as known: a push that holds it is no news."""
    schema = narrow(DESCRIBED, ObjectConfig("Deal"), EXISTING)
    assert list(schema.names) == list(NAMES)
    assert schema.unmirrored == ("Address", "IsDeleted")
    assert (schema.soft_deletes, schema.merges) == (True, False)


def test_id_and_stamp_always_stay() -> None:
    """However narrow the config, whatever its case."""
    assert names(ObjectConfig("Deal", fields=("name",))) == ["Id", "Name", "SystemModstamp"]
    assert names(ObjectConfig("Deal", exclude=("ID", "systemmodstamp", "PHONE"))) == [
        "Id",
        "Name",
        "Amount",
        "SystemModstamp",
    ]


def test_a_dropped_field_has_no_column() -> None:
    """Of any type, in any case."""
    assert names(ObjectConfig("Deal", privacy={"phone": "drop", "Amount": "drop"})) == [
        "Id",
        "Name",
        "SystemModstamp",
    ]


@pytest.mark.parametrize(
    "config", [{"fields": ("Nam",)}, {"exclude": ("Nam",)}, {"privacy": {"Nam": "hash"}}]
)
def test_a_field_that_is_not_there_is_named(config: dict[str, object]) -> None:
    """A typing mistake in a privacy rule would leave the field in the clear."""
    with pytest.raises(ValueError, match="no field Nam"):
        narrow(DESCRIBED, ObjectConfig("Deal", **config), EXISTING)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ["hash", "last4"])
@pytest.mark.parametrize("name", ["Amount", "SystemModstamp", "Id", "amount"])
def test_only_text_is_masked(name: str, rule: str) -> None:
    """A hash does not fit a number's column, and a record without its Id or stamp cannot be kept."""
    with pytest.raises(ValueError, match="text only"):
        narrow(DESCRIBED, ObjectConfig("Deal", privacy={name: rule}), EXISTING)
    assert names(ObjectConfig("Deal", privacy={"Phone": rule})) == list(NAMES)


def test_unknown_types_are_text() -> None:
    """Salesforce adds types; none is lost for it."""
    assert kind_of("hologram") is Kind.TEXT
