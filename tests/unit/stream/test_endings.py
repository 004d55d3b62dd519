"""What to do after a stream ended, by Salesforce's code."""

from __future__ import annotations

import pytest

from rtsd.stream.endings import PREFIX, Remedy, ending_of

CODES = {
    "service.auth.error": Remedy.LOG_IN,
    "service.auth.headers.invalid": Remedy.ASK_OPERATOR,
    "service.unavailable": Remedy.REOPEN,
    "service.protection.triggered": Remedy.REOPEN,
    "service.protection.stream.limit.triggered": Remedy.REOPEN,
    "topic.api.unavailable": Remedy.REOPEN,
    "schema.api.unavailable": Remedy.REOPEN,
    "subscription.internal.error": Remedy.REOPEN,
    "subscription.limit.exceeded": Remedy.WAIT_FOR_DELIVERIES,
    "concurrent.client.limit.exceeded": Remedy.ASK_OPERATOR,
    "service.tenant.license": Remedy.ASK_OPERATOR,
    "subscription.fetch.replayid.corrupted": Remedy.CATCH_UP,
    "subscription.fetch.replayid.validation.failed": Remedy.CATCH_UP,
    "subscription.fetch.requested.events.invalid": Remedy.ASK_OPERATOR,
    "subscription.fetch.topic.mismatch": Remedy.ASK_OPERATOR,
    "subscription.fetch.replay.repeated": Remedy.REOPEN_ONCE,
    "topic.not.found": Remedy.WAIT_FOR_TOPIC,
    "topic.meta.permission": Remedy.WAIT_FOR_TOPIC,
    "subscription.topic.cannot.subscribe": Remedy.WAIT_FOR_TOPIC,
    "schema.meta.permission": Remedy.WAIT_FOR_TOPIC,
    "a.code.of.tomorrow": Remedy.ASK_OPERATOR,
}


@pytest.mark.parametrize(("code", "remedy"), CODES.items())
def test_the_code_decides(code: str, remedy: Remedy) -> None:
    """With Salesforce's prefix or without; an operator is told what to do."""
    for sent in (code, PREFIX + code):
        found = ending_of(sent, "text")
        assert (found.code, found.remedy) == (code, remedy)
        assert bool(found.do) is found.alarming


@pytest.mark.parametrize("code", ["topic.not.found", "subscription.topic.cannot.subscribe"])
def test_the_advice_fits_the_channel(code: str) -> None:
    """The package's event is deployed, with Read on it; objects are selected, and read with View All."""
    event = ending_of(code, "text", "/event/RTS_Push__e").do
    objects = ending_of(code, "text", "/data/ChangeEvents").do
    assert "rtsd package deploy" in event
    assert "object" not in event
    assert "package" not in objects
    assert "rtsd stream enable" in objects or "View All" in objects


def test_without_a_code_the_connection_failed() -> None:
    """The stream is reopened where it stopped, and nobody has to know."""
    found = ending_of("", "Socket closed")
    assert (found.remedy, found.alarming) == (Remedy.REOPEN, False)


def test_an_unclear_code_is_given_one_more_try() -> None:
    """Then an operator is told; every other ending stays what it is."""
    repeated = ending_of("subscription.fetch.replay.repeated", "text")
    assert not repeated.alarming
    assert (repeated.again().remedy, repeated.again().alarming) == (Remedy.ASK_OPERATOR, True)
    broken = ending_of("", "text")
    assert broken.again() is broken
