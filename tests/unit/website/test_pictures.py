"""The pictures of docs/concepts.md: drawn from website/pictures.py, with arrows that the code has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rtsd.core import mode, object_state
from rtsd.core.mode import Mode
from rtsd.core.object_state import ObjectState
from website import pictures


@pytest.mark.parametrize("name", pictures.DRAWN)
def test_a_picture_is_drawn_again_after_a_change(name: str) -> None:
    """`python -m website.pictures` does."""
    assert (pictures.PLACE / f"{name}.svg").read_text() == pictures.DRAWN[name]().svg()


@pytest.mark.parametrize("name", pictures.DRAWN)
def test_a_picture_has_a_title_and_asks_nobody_for_anything(name: str) -> None:
    """It is read aloud by its title, and stands alone."""
    text = (pictures.PLACE / f"{name}.svg").read_text()
    assert ET.fromstring(text).attrib["aria-label"]
    assert text.count("//") == text.count("http://www.w3.org/2000/svg") == 1


def leads(table: Mapping[tuple[Any, Any], Any]) -> set[tuple[str, str]]:
    """The pairs of states of which one leads to the other."""
    return {(str(state), str(target)) for (state, _), target in table.items()}


def test_the_modes_and_their_arrows_are_those_of_the_code() -> None:
    """Every mode is there, and every arrow is a transition."""
    assert set(pictures.MODES) == {str(each) for each in Mode}
    assert {(begin, end) for begin, end, *_ in pictures.MODE_ARROWS} <= leads(mode.TRANSITIONS)


def test_the_states_and_their_arrows_are_those_of_the_code() -> None:
    """The same for objects."""
    assert set(pictures.STATES) == {str(each) for each in ObjectState}
    assert {(begin, end) for begin, end, *_ in pictures.STATE_ARROWS} <= leads(object_state.TRANSITIONS)
