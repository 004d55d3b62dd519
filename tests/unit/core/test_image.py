"""Images of records: what is said of them is what is said of dictionaries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.image import Fields, Image, as_dict, differences, picked

NAMES = ("Id", "Name", "Level", "Amount")
PLACES = {name: place for place, name in enumerate(NAMES)}
VALUES = st.none() | st.sampled_from(["", "a", "b", 0, 1, 1.0, -1.5])
WHOLE = st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES))


def image(values: Fields) -> Image:
    """The image of a record."""
    return Image(PLACES, tuple(values[name] for name in NAMES))


@given(WHOLE, WHOLE, st.sets(st.sampled_from(NAMES)))
def test_an_image_is_read_as_its_values(old: Fields, new: Fields, some: set[str]) -> None:
    """Whole or in part, against another image or a dictionary: the same fields differ, in the same order."""
    assert dict(image(new)) == as_dict(image(new)) == as_dict(new) == new
    assert (len(image(new)), list(image(new))) == (len(NAMES), list(NAMES))
    assert {name: image(new).get(name, "none") for name in (*NAMES, "Unknown")} == {**new, "Unknown": "none"}
    differing = tuple(name for name in NAMES if old[name] != new[name])
    for before in (old, image(old)):
        for after in (new, image(new)):
            assert set(differences(before, after)) == set(differing)
        assert differences(before, image(new)) == differing
        part = {name: new[name] for name in NAMES if name in some}
        assert differences(before, part) == tuple(name for name in part if name in differing)
        assert picked(before, tuple(part)) == tuple(old[name] for name in part)
