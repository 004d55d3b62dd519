"""Credit: when more events are asked for, and how many."""

from __future__ import annotations

from rtsd.stream.credit import LOW, MOST, Credit


def credit(outstanding: int) -> Credit:
    """The credit of a stream that has so much left at 100 s."""
    found = Credit(0.0, idle_s=40)
    found.asked(max(outstanding, 1))
    found.received(0 if outstanding else 1, outstanding, 100.0)
    return found


def test_it_is_filled_up_at_the_low_water_mark() -> None:
    """Not per event, and to no more than Salesforce keeps."""
    assert Credit(0.0, idle_s=40).due(0, has_room=True) == MOST
    assert credit(LOW + 1).due(100, has_room=True) == 0
    assert credit(LOW).due(100, has_room=True) == MOST - LOW
    assert credit(0).due(100, has_room=True) == MOST


def test_requests_add_up_to_the_maximum() -> None:
    """As Salesforce clamps them."""
    found = credit(15)
    found.asked(90)
    assert found.outstanding == MOST


def test_responses_from_before_a_request_do_not_repeat_it() -> None:
    """What is on its way does not count it yet; a request per event would end the stream."""
    found = credit(LOW)
    found.asked(MOST - LOW)
    for pending in reversed(range(LOW)):
        found.received(1, pending, 100)
        assert found.due(100, has_room=True) == 0
    found.received(3, MOST - LOW - 3, 100)
    assert found.outstanding == MOST - LOW - 3
    found.received(MOST - LOW - 3, 0, 100)
    assert found.due(100, has_room=True) == MOST


def test_without_room_one_event_keeps_the_stream_open() -> None:
    """Only once credit has run out, and shortly before Salesforce would close the stream."""
    assert credit(LOW).due(1_000, has_room=False) == 0
    empty = credit(0)
    assert empty.due(139, has_room=False) == 0
    assert empty.due(140, has_room=False) == 1
    empty.asked(1)
    assert empty.due(500, has_room=False) == 0
    empty.received(1, 0, 500)
    assert empty.due(539, has_room=False) == 0
    assert empty.due(540, has_room=False) == 1
