"""Trigger names: legal, unique, stable."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.apex import trigger_name, trigger_names
from rtsd.apex.names import MAX_LENGTH, RESERVED
from rtsd.apex.source import metadata

IDENTIFIER = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*")
WORD = st.from_regex(r"[A-Za-z](_?[A-Za-z0-9]){0,39}", fullmatch=True)
OBJECT = st.one_of(WORD, WORD.map("{}__c".format), st.tuples(WORD, WORD).map("{0[0]}__{0[1]}__c".format))


def test_contract_names() -> None:
    """A standard object's trigger is RTS_ and its name; a custom object's leaves its suffix off."""
    assert [trigger_name(name) for name in ("Contact", "Invoice__c", "acme__Invoice__c")] == [
        "RTS_Contact",
        "RTS_Invoice",
        "RTS_acme_Invoice",
    ]


@given(st.lists(OBJECT, max_size=8, unique_by=str.lower))
def test_names_are_legal_and_unique(objects: list[str]) -> None:
    """Whatever the objects are called, each has a trigger of its own that Apex accepts."""
    names = list(trigger_names(objects).values())
    assert len({name.lower() for name in names}) == len(objects)
    assert all(IDENTIFIER.fullmatch(name) and len(name) <= MAX_LENGTH for name in names)


def test_claims_on_one_name_are_settled() -> None:
    """Two objects that would share a trigger get two, and the standard one keeps the plain name."""
    names = trigger_names(["Invoice", "Invoice__c"])
    assert names["Invoice"] == "RTS_Invoice"
    assert names["Invoice__c"] == trigger_names(["Invoice__c", "Invoice"])["Invoice__c"] != "RTS_Invoice"


def test_no_trigger_hides_a_class() -> None:
    """Every class and trigger of the package is reserved, so that no object's trigger takes its name."""
    own = {path.split("/")[1].partition(".")[0].lower() for path in metadata([], "https://a.example", "62.0")
           if path.startswith(("classes/", "triggers/"))}  # fmt: skip
    assert own == RESERVED
    assert trigger_name("Handler__c").lower() not in RESERVED


@pytest.mark.parametrize("name", ["", "1x", "a b", "Contact; delete", "Ünit__c", "A-B", "a\n"])
def test_no_api_name(name: str) -> None:
    """What is no API name never reaches a trigger's source."""
    with pytest.raises(ValueError, match="not the API name"):
        trigger_name(name)
