"""How a stream ends, and what to do about it.

Salesforce puts a code into the trailer `error-code` (Pub/Sub API guide, Handle Errors); it decides. An
INVALID_ARGUMENT with another code than those of replay ids must not lose the position.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

PREFIX = "sfdc.platform.eventbus.grpc."
BUDGET = "deliveries"


class Remedy(Enum):
    """What to do after a stream ended."""

    LOG_IN = "log in again, and reopen where it stopped"
    REOPEN = "pause, and reopen where it stopped"
    REOPEN_ONCE = "reopen where it stopped; tell the operator if that does not help"
    CATCH_UP = "open at the end of the bus, then read what happened meanwhile"
    WAIT_FOR_DELIVERIES = "wait until the day's deliveries have room again"
    WAIT_FOR_TOPIC = "wait until the topic exists and may be read"
    ASK_OPERATOR = "tell the operator, and try again every hour"


_REMEDIES = {
    "service.auth.error": Remedy.LOG_IN,
    "service.auth.refresh.invalid": Remedy.LOG_IN,
    "service.unavailable": Remedy.REOPEN,
    "service.protection.triggered": Remedy.REOPEN,
    "service.protection.stream.limit.triggered": Remedy.REOPEN,
    "topic.api.unavailable": Remedy.REOPEN,
    "schema.api.unavailable": Remedy.REOPEN,
    "subscription.internal.error": Remedy.REOPEN,
    "subscription.fetch.replayid.corrupted": Remedy.CATCH_UP,
    "subscription.fetch.replayid.validation.failed": Remedy.CATCH_UP,
    "subscription.limit.exceeded": Remedy.WAIT_FOR_DELIVERIES,
    "subscription.fetch.replay.repeated": Remedy.REOPEN_ONCE,  # its meaning is documented in two ways
    "topic.not.found": Remedy.WAIT_FOR_TOPIC,
    "subscription.topic.cannot.subscribe": Remedy.WAIT_FOR_TOPIC,  # a new right counts within ten minutes
    "topic.meta.permission": Remedy.WAIT_FOR_TOPIC,
    "schema.meta.permission": Remedy.WAIT_FOR_TOPIC,
}
"""Every other code is a mistake of configuration, of rights, or of rtsd's."""

_REPORT = "Report it: rtsd and Salesforce do not understand each other."

_ADVICE = {
    "service.auth.headers.invalid": "Check that the login's user may use the API, from this address.",
    "concurrent.client.limit.exceeded": "Stop other subscribers of the org's event bus.",
    "service.tenant.license": "The org's edition does not include the Pub/Sub API: use another channel.",
    "subscription.limit.exceeded": "The day's deliveries are used up; changes are read by Interval Sync.",
}
_RIGHTS = frozenset(
    {"subscription.topic.cannot.subscribe", "topic.meta.permission", "schema.meta.permission"}
)


def read_advice(topic: str) -> str:
    """Return how a user gets the right to read a topic."""
    if _is_event(topic):
        return "Give the user Read on the event, as `rtsd package deploy` does (permission set RTS_Sync)."
    return "Give the user View All Records on the objects, for users View All Users, for tasks View All Data."


def _is_event(topic: str) -> bool:
    """Whether a topic is the package's platform event, and not one of change events."""
    return topic.startswith("/event/")


def _advice(code: str, topic: str) -> str | None:
    """Return what to do about a code; None for one that rtsd does not know."""
    if code in _RIGHTS:
        return read_advice(topic)
    if code == "topic.not.found":
        missing = "Run `rtsd package deploy`: the topic is the package's event."
        unselected = "Select objects with `rtsd stream enable OBJECT`, or correct [push] topic."
        return missing if _is_event(topic) else unselected
    return _ADVICE.get(code)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ended.

    `code` is Salesforce's without the common prefix, `BUDGET` if rtsd ended it, or empty if there is none.
    """

    code: str
    message: str
    remedy: Remedy
    do: str = ""

    @property
    def alarming(self) -> bool:
        """Whether a person has to know: streams end every day, and are reopened."""
        return self.remedy in (Remedy.WAIT_FOR_DELIVERIES, Remedy.WAIT_FOR_TOPIC, Remedy.ASK_OPERATOR)

    def again(self) -> Ending:
        """Return the ending for a stream that has ended this way before anything came of it."""
        if self.remedy is not Remedy.REOPEN_ONCE:
            return self
        return replace(self, remedy=Remedy.ASK_OPERATOR, do=_REPORT)


def ending_of(error_code: str, message: str, topic: str = "") -> Ending:
    """Return how a stream of a topic ended by the trailer `error-code`; without one the connection failed."""
    code = error_code.removeprefix(PREFIX)
    if not code:
        return Ending("", message, Remedy.REOPEN)
    remedy = _REMEDIES.get(code, Remedy.ASK_OPERATOR)
    advice = _advice(code, topic) or (_REPORT if remedy is Remedy.ASK_OPERATOR else "")
    return Ending(code, message, remedy, advice)


class StreamEnded(Exception):
    """A stream or call ended; `ending` says how."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"{ending.code or 'no code'}: {ending.message}")
        self.ending = ending


def lost(message: str) -> StreamEnded:
    """Return the end of a stream that failed without a word from Salesforce."""
    return StreamEnded(Ending("", message, Remedy.REOPEN))


def unaffordable(message: str) -> StreamEnded:
    """Return the end of a stream that would take deliveries which other subscribers need."""
    do = "Changes are read by Interval Sync until enough of them expire."
    return StreamEnded(Ending(BUDGET, message, Remedy.WAIT_FOR_DELIVERIES, do))


def unreadable(message: str) -> StreamEnded:
    """Return the end of a stream with an event that cannot be read: skipping it would lose a change."""
    return StreamEnded(Ending("", message, Remedy.ASK_OPERATOR, _REPORT))
