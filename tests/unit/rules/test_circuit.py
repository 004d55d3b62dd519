"""When a destination is left alone, and when a delivery is tried again or given up."""

from __future__ import annotations

from rtsd.core.instant import DAY_MS
from rtsd.rules.circuit import (
    MAX_RETRY_AFTER_MS,
    MIN_ATTEMPTS,
    OPENS_AFTER,
    PROBE_FIRST_MS,
    PROBE_MAX_MS,
    RETRY_MAX_MS,
    Circuit,
    is_abandoned,
    pause_ms,
)

HOUR_MS = 3_600_000


def opened(at: int = 0) -> Circuit:
    """A circuit that has just opened."""
    circuit = Circuit()
    for delivery in range(OPENS_AFTER):
        circuit.failed(delivery, at)
    assert circuit.is_open
    return circuit


def test_pauses_grow_to_a_quarter_of_an_hour() -> None:
    """Doubling from two seconds; a thousandth failure has a sensible pause, too."""
    pauses = [pause_ms(tries) for tries in range(1, 10)]
    assert pauses[:4] == [2_000, 4_000, 8_000, 16_000]
    assert pauses == sorted(pauses)
    assert pause_ms(1_000) == RETRY_MAX_MS


def test_what_the_receiver_wishes_goes_before() -> None:
    """Sooner or later than ours, within reason."""
    assert pause_ms(9, 5_000) == 5_000
    assert pause_ms(1, HOUR_MS) == HOUR_MS
    assert pause_ms(1, 0) == 1_000
    assert pause_ms(1, 99 * DAY_MS) == MAX_RETRY_AFTER_MS


def test_a_delivery_is_given_up_after_a_day_and_enough_tries() -> None:
    """A machine that slept a weekend between two tries gives nothing up."""
    assert not is_abandoned(MIN_ATTEMPTS, 0, DAY_MS - 1)
    assert not is_abandoned(2, 0, 3 * DAY_MS)
    assert is_abandoned(MIN_ATTEMPTS, 0, DAY_MS)


def test_one_delivery_that_keeps_failing_opens_nothing() -> None:
    """It is the delivery, not the destination: others go on."""
    circuit = Circuit()
    for at in range(100):
        circuit.failed(1, at)
    assert circuit.room(3, 16, 100) == 13


def test_an_answer_between_failures_keeps_it_closed() -> None:
    """Only failures without any answer between them count."""
    circuit = Circuit()
    for delivery in range(100):
        circuit.failed(delivery, delivery)
        if delivery % (OPENS_AFTER - 1) == 0:
            circuit.answered()
    assert not circuit.is_open


def test_an_open_circuit_lets_one_through_at_a_time() -> None:
    """None before its time, then one, and none beside it."""
    circuit = opened()
    assert circuit.room(0, 16, PROBE_FIRST_MS - 1) == 0
    assert circuit.room(0, 16, PROBE_FIRST_MS) == 1
    assert circuit.room(1, 16, PROBE_FIRST_MS) == 0


def test_probes_become_rarer_and_never_cease() -> None:
    """Five minutes at most: what comes back after hours is found soon."""
    circuit, now, waits = opened(), 0, []
    for probe in range(12):
        waits.append(circuit.probe_at - now)
        now = circuit.probe_at
        circuit.failed(probe, now)
    assert waits[:3] == [PROBE_FIRST_MS, 2 * PROBE_FIRST_MS, 4 * PROBE_FIRST_MS]
    assert waits[-1] == PROBE_MAX_MS
    assert circuit.has_been_open_for(now) == now


def test_tries_begun_before_it_opened_put_nothing_off() -> None:
    """Sixteen that fail together are one outage, not sixteen probes."""
    circuit = opened(1_000)
    for delivery in range(16):
        circuit.failed(delivery, 1_100)
    assert circuit.probe_at == 1_000 + PROBE_FIRST_MS


def test_an_answer_closes_it_at_once() -> None:
    """Later failures count anew."""
    circuit = opened()
    circuit.answered()
    assert circuit.room(0, 16, 0) == 16
    circuit.failed(1, 5)
    assert not circuit.is_open
    assert circuit.has_been_open_for(5) == 0
