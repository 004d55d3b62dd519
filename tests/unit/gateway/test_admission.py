"""How many pushes are admitted, and what is taken for one."""

from __future__ import annotations

import pytest

from rtsd.gateway.admission import INITIAL, LEAST, TARGET_S, Admission, is_whole
from rtsd.store.inbox import MAX_WAITING

HEAD = b"POST /v1/push HTTP/1.1\r\nHost: gateway\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\nwebhook-id: 1\r\n\r\n{}"


@pytest.mark.parametrize(
    "data",
    [
        WHOLE,
        HEAD + b"content-length:2\r\n\r\n{}",
        HEAD + b"Content-Length: 0\r\n\r\n",
        HEAD + b"Content-Length: 8\r\n\r\n{\r\n\r\n{}}",
    ],
)
def test_a_push_in_one_piece_is_whole(data: bytes) -> None:
    """Whatever the spelling of its header."""
    assert is_whole(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        WHOLE[:-1],
        WHOLE + b"x",
        WHOLE + WHOLE,
        WHOLE[:30],
        HEAD + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"X: Content-Length: 2\r\n\r\n{}",
        HEAD + b"\r\nContent-Length: 4\r\n\r\n",
        WHOLE.replace(b"POST", b"GET"),
        WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        b'{"v": 1}',
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_all_else_is_left_to_the_parser(data: bytes) -> None:
    """Pieces, several at once, other methods and versions, and what is no HTTP at all."""
    assert not is_whole(data)


class Busy:
    """A gateway that always has as many inside as it admits, and answers at a rate."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.admission = Admission(lambda: self.seconds)
        self.inside = 0

    def fill(self) -> int:
        """Admit as many as may enter; return how many are inside."""
        while not self.admission.full:
            self.admission.enter()
            self.inside += 1
        return self.inside

    def answer(self, number: int) -> None:
        """Answer some at once."""
        for _ in range(number):
            self.admission.leave()
        self.inside -= number

    def serve(self, rate: int, seconds: float) -> int:
        """Answer at a rate, in groups, with new ones always waiting; return how many are inside."""
        for _ in range(int(seconds * 10)):
            self.seconds += 0.1
            self.answer(rate // 10)
            self.fill()
        return self.fill()


def test_an_idle_gateway_admits_a_burst() -> None:
    """As many as a usual machine answers in well under a second."""
    assert Busy().fill() == INITIAL


@pytest.mark.parametrize("rate", [400, 700, 1_500])
def test_as_many_are_admitted_as_are_answered_in_time(rate: int) -> None:
    """While it is busy the limit follows the rate of answers."""
    busy = Busy()
    busy.fill()
    assert busy.serve(rate, 10) == pytest.approx(rate * TARGET_S, rel=0.1)


def test_the_limit_has_bounds() -> None:
    """A very slow disk still gets enough for one commit to be worth it; the inbox bounds the other end."""
    slow, fast = Busy(), Busy()
    slow.fill()
    fast.fill()
    assert slow.serve(10, 60) == LEAST
    fast.serve(3_900, 20)
    assert fast.serve(6_000, 20) == MAX_WAITING


def test_a_drained_gateway_admits_a_burst_again() -> None:
    """What was measured under load says nothing about the next burst."""
    busy = Busy()
    busy.fill()
    busy.serve(200, 10)
    busy.answer(busy.inside)
    assert busy.fill() == INITIAL


def test_slow_senders_do_not_lower_the_limit() -> None:
    """Few inside, few answered: the gateway is not what is slow."""
    busy = Busy()
    for _ in range(100):
        busy.seconds += 0.1
        busy.admission.enter()
        busy.admission.enter()
        busy.admission.leave()
    assert busy.inside + INITIAL == busy.fill() + 100
