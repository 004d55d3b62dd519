"""Names that are spelled like one that is not known."""

from __future__ import annotations

from rtsd.core.spelling import alike, did_you_mean, meant


def test_the_closest_name_is_offered_as_it_is_spelled() -> None:
    """Whatever the case of the question; nothing is offered for a name that is like none."""
    known = ["Contact", "Account", "Opportunity"]
    assert alike("CONTCAT", known) == ["Contact"]
    assert did_you_mean("opportunty", known) == " Did you mean Opportunity?"
    assert meant("Acount", known) == " (did you mean Account?)"
    assert (alike("xyzzy", known), did_you_mean("xyzzy", known), meant("xyzzy", known)) == ([], "", "")


def test_several_unknown_names_are_one_question() -> None:
    """Each has its answer, and none is repeated."""
    known = ["Email", "Phone"]
    assert did_you_mean(["Emial", "Phnoe", "emale"], known) == " Did you mean Email or Phone?"
    assert did_you_mean("Emial", ["Email", "Emails"], most=2) == " Did you mean Email or Emails?"
