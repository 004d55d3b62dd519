"""Documents that a view asks the daemon for when it needs them; no Textual here.

Status, events, errors and dead letters come by themselves. Everything else is a `Question`: asked while
a view that shows it is in sight, asked again when it has grown old or the daemon came back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from rtsd.control.client import ControlClient, UnknownRoute
from rtsd.errors import RtsError
from rtstui.clean import clean, cleaned

T = TypeVar("T")

KEPT = 64
"""Answers that are kept; the one that was asked for longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked: `key` names it, `what` stands in sentences, `every` says how many seconds it is good.

    `every` of None: until the daemon comes back, or somebody asks again.
    """

    key: str
    what: str
    ask: Callable[[ControlClient], Awaitable[T]]
    every: float | None = None


@dataclass(slots=True)
class Answer(Generic[T]):
    """What came of a question: the newest value and its moment, and why there is no newer one."""

    what: str
    value: T | None = None
    at: datetime | None = None
    asked_at: datetime | None = None
    asking: bool = False
    problem: str = ""
    older: bool = False
    """The daemon has never heard of the question."""

    def due(self, now: datetime, every: float | None) -> bool:
        """Whether it is time to ask; an older daemon is asked again only when it came back."""
        if self.asking:
            return False
        if self.asked_at is None:
            return True
        return every is not None and not self.older and (now - self.asked_at).total_seconds() >= every


class Answers:
    """The answers of one daemon, by the questions' keys."""

    def __init__(self) -> None:
        self._known: dict[str, Answer[Any]] = {}

    def of(self, question: Question[T]) -> Answer[T]:
        """What came of this question; empty where it was never asked."""
        answer = self._known.pop(question.key, None) or Answer(question.what)
        self._known[question.key] = answer  # the newest last
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return answer

    def renew(self, prefix: str = "") -> None:
        """Have questions asked again whose keys begin so: the daemon came back, or something was done."""
        for key, answer in self._known.items():
            if key.startswith(prefix):
                answer.asked_at = None


async def put(question: Question[T], answer: Answer[T], client: ControlClient, now: datetime) -> None:
    """Ask, and write the answer down; a failure leaves the last good value."""
    answer.asking, answer.asked_at = True, now
    try:
        value = cleaned(await question.ask(client))
    except UnknownRoute as error:
        answer.older, answer.problem = True, clean(str(error))
    except RtsError as error:
        answer.problem = clean(str(error))
    else:
        answer.value, answer.at, answer.problem, answer.older = value, now, "", False
    finally:
        answer.asking = False
