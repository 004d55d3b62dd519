"""`rtsd events`: what it asks for, and how it shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Rtsd = Callable[..., Any]
AT = "2026-03-01T10:00:00.000Z"


def entry(seq: int, **more: Any) -> bytes:
    """One line of the journal."""
    return json.dumps({"seq": seq, "at": AT, "type": "change", **more}).encode()


def test_events_reads_the_whole_journal(rtsd: Rtsd, daemon: Any) -> None:
    """Page by page, until there is no more."""
    daemon.answers["GET /v1/events?after=0&limit=1000"] = [
        entry(1, object="Contact", id="003", op="update", source="push", outcome="applied", latency_ms=41),
        entry(2, type="mode", message="push \x1breceived"),
    ]
    daemon.answers["GET /v1/events/values?seq=1"] = {"values": []}
    daemon.answers["GET /v1/events?after=2&limit=1000"] = [entry(5)]
    daemon.answers["GET /v1/events?after=5&limit=1000"] = []
    assert rtsd("events", "--after", "0").out.splitlines() == [
        f"1 {AT} update Contact 003 from push applied 41 ms",
        f"2 {AT} mode push \\x1breceived",
        f"5 {AT} change",
    ]
    assert [
        json.loads(line)["seq"] for line in rtsd("events", "--after", "0", "--json").out.splitlines()
    ] == [1, 2, 5]
    assert len(rtsd("events", "--after", "0", "--limit", "2").out.splitlines()) == 2


def test_events_shows_the_newest_by_default(rtsd: Rtsd, daemon: Any) -> None:
    """As many as --last says, of the kinds and the time that are wanted."""
    daemon.answers["GET /v1/events?last=100"] = [entry(7), entry(8)]
    assert [line.split()[0] for line in rtsd("events").out.splitlines()] == ["7", "8"]
    daemon.answers["GET /v1/events?last=2"] = [entry(8)]
    for words in (["--last", "2"], ["--limit", "2"]):
        assert len(rtsd("events", *words).out.splitlines()) == 1
    since, until = "2026-03-01T10:00:00.000Z", "2026-03-01T11:00:00.000Z"
    query = f"object=Lead&last=3&type=error,mode&since={since}&until={until}"
    daemon.answers[f"GET /v1/events?{query}"] = [entry(4, type="mode")]
    words = ["--last", "3", "--object", "Lead", "--kind", "error", "--kind", "mode"]
    words += ["--since", since, "--until", until]
    assert len(rtsd("events", *words).out.splitlines()) == 1


def test_events_shows_values_where_they_are_known(rtsd: Rtsd, daemon: Any) -> None:
    """Before and after, in lines and in JSON; a value that nothing tells is no empty one."""
    change = entry(
        7, object="Lead", id="00Q", op="update", source="push", outcome="applied", changed=["Amount"]
    )
    daemon.answers["GET /v1/events?last=100"] = [entry(6, outcome="stale"), change]
    changed = {"Amount": {"from": 1, "to": 2}, "City": {"from": None}}
    values = {"name": "Ana Silva", "by": "005", "changed": changed, "more": 3}
    daemon.answers["GET /v1/events/values?seq=7"] = {"values": [{"seq": 7, **values}]}
    line = rtsd("events").out.splitlines()[1]
    assert line == f'7 {AT} update Lead 00Q "Ana Silva" from push applied Amount: 1 → 2, City: - → ?, 3 more'
    documents = [json.loads(line) for line in rtsd("events", "--json").out.splitlines()]
    assert [document.get("values") for document in documents] == [None, values]


@pytest.mark.parametrize(
    "words",
    [
        ["--follow", "--since", "1h"],
        ["--last", "3", "--after", "7"],
        ["--format", "cloudevents", "--kind", "mode"],
        ["--format", "cloudevents", "--follow", "--last", "3"],
        ["--kind", "nothing"],
    ],
)
def test_events_that_contradict_themselves_are_refused(rtsd: Rtsd, words: list[str]) -> None:
    """Before the daemon is asked: which entries would come is not clear."""
    assert rtsd("events", *words).status == 2


def test_events_can_be_narrowed(rtsd: Rtsd, daemon: Any) -> None:
    """--object and --after are asked of the daemon."""
    daemon.answers["GET /v1/events?after=7&object=Lead&limit=1000"] = []
    assert rtsd("events", "--object", "Lead", "--after", "7") == (0, "", "")


def test_following_goes_on_after_lagging_and_tells_the_end(rtsd: Rtsd, daemon: Any) -> None:
    """A reader that was cut off asks for the rest by itself; a daemon that stops is exit 3."""
    snapshot = json.dumps({"type": "snapshot", "status": daemon.answers["GET /v1/status"]}).encode()
    daemon.answers["GET /v1/events?follow=1"] = [snapshot, entry(8), b'{"type":"lagged","after":8}']
    daemon.answers["GET /v1/events?after=8&follow=1"] = [snapshot, entry(9)]
    status, out, err = rtsd("events", "--follow", "--json")
    assert [json.loads(line)["seq"] for line in out.splitlines()] == [8, 9]
    assert status == 3
    assert err.startswith("rtsd: rtsd ended the feed")
