"""The state machine of an object: a table without holes, and its promises as rows of it."""

from __future__ import annotations

from itertools import product

import pytest

from rtsd.core.object_state import EXPLAINS, TRANSITIONS, ObjectEvent, ObjectState, next_state

S, E = ObjectState, ObjectEvent

PROOFS = (E.PROVEN, E.CAUGHT_UP)
"""Events that may make an object live."""


def test_every_event_has_an_answer_in_every_state() -> None:
    """The table is total, and holds nothing else."""
    assert set(TRANSITIONS) == set(product(ObjectState, ObjectEvent))


@pytest.mark.parametrize("event", [event for event in E if event not in PROOFS])
def test_nothing_but_a_proof_makes_an_object_live(event: ObjectEvent) -> None:
    """Contract 5: live only when its rows were proven against the org's own count."""
    entered = {state for state in S if next_state(state, event) is S.LIVE}
    assert entered <= {S.LIVE}


@pytest.mark.parametrize("event", [event for event in E if event is not E.RESUMED])
def test_only_resume_ends_a_pause(event: ObjectEvent) -> None:
    """An operator's pause holds against everything."""
    assert next_state(S.PAUSED, event) is S.PAUSED


@pytest.mark.parametrize("state", list(ObjectState))
def test_pause_is_possible_everywhere(state: ObjectState) -> None:
    """And a resumed object is not live before it is proven: its pushes were not applied meanwhile."""
    assert next_state(state, E.PAUSED) is S.PAUSED
    assert next_state(S.PAUSED, E.RESUMED) is S.PENDING


@pytest.mark.parametrize("event", [event for event in E if event not in (E.DESCRIBED, E.PAUSED)])
def test_only_a_describe_ends_an_error(event: ObjectEvent) -> None:
    """What cannot be described cannot be proven either."""
    assert next_state(S.ERROR, event) is S.ERROR


def test_a_doubt_ends_a_proof_that_waits_for_quota() -> None:
    """Or a window that is read later would make the object live, in spite of the doubt."""
    assert next_state(S.DEFERRED, E.CAUGHT_UP) is S.LIVE
    doubted = next_state(S.DEFERRED, E.DOUBTED)
    assert next_state(doubted, E.CAUGHT_UP) is not S.LIVE


SENTENCES = [
    (S.PENDING, E.LOAD_STARTED, S.LOADING),
    (S.LIVE, E.LOAD_STARTED, S.LOADING),
    (S.LOADING, E.PROVEN, S.LIVE),
    (S.INCOMPLETE, E.PROVEN, S.LIVE),
    (S.LIVE, E.DOUBTED, S.INCOMPLETE),
    (S.PENDING, E.DOUBTED, S.PENDING),
    (S.LOADING, E.DOUBTED, S.LOADING),
    (S.LOADING, E.DISPROVEN, S.INCOMPLETE),
    (S.DEFERRED, E.DISPROVEN, S.INCOMPLETE),
    (S.LOADING, E.QUOTA_REFUSED, S.DEFERRED),
    (S.INCOMPLETE, E.CAUGHT_UP, S.INCOMPLETE),
    (S.LIVE, E.UNUSABLE, S.ERROR),
    (S.ERROR, E.DESCRIBED, S.PENDING),
    (S.LIVE, E.DESCRIBED, S.LIVE),
    (S.LOADING, E.RESTARTED, S.PENDING),
    (S.LIVE, E.RESTARTED, S.LIVE),
    (S.DEFERRED, E.RESTARTED, S.DEFERRED),
    (S.LIVE, E.LEFT_OUT, S.PENDING),
    (S.INCOMPLETE, E.LEFT_OUT, S.PENDING),
]


@pytest.mark.parametrize(("state", "event", "target"), SENTENCES)
def test_what_follows_what(state: ObjectState, event: ObjectEvent, target: ObjectState) -> None:
    """The rows that people rely on, one by one."""
    assert next_state(state, event) is target


def test_an_event_explains_the_state_it_leads_to() -> None:
    """A reason is renewed only by the events that could have brought the object there."""
    assert all(next_state(state, event) is state for event, state in EXPLAINS.items())
