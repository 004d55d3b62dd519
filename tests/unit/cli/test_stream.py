"""`rtsd stream status`: what the daemon says of its subscription."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

Rtsd = Callable[..., Any]


def test_stream_shows_the_same_facts(rtsd: Rtsd, daemon: Any) -> None:
    """Position, deliveries, how changes arrive; without a subscription, why there is none."""
    failed = rtsd("stream", "status")
    assert failed.status == 1
    assert "There is no subscription" in failed.err
    shown = daemon.answers["GET /v1/status"] = deepcopy(daemon.answers["GET /v1/status"])
    stream = {
        "topic": "/data/ChangeEvents",
        "connected": True,
        "replay_age_s": 12,
        "deliveries_ours_24h": 400,
    }
    shown["push"] = {**shown["push"], "channel": "cdc", "stream": {**stream, "since": shown["now"]}}
    shown["objects"][0]["arrives_by"] = "push"
    out = rtsd("stream").out
    assert "channel     Change Data Capture, /data/ChangeEvents" in out
    assert "stream      connected for 0 ms" in out
    assert "position    12 s old\n" in out
    assert "deliveries  400 to rtsd, those to others not known (24 hours)" in out
    assert "Contact  live        push" in out
    assert json.loads(rtsd("stream", "status", "--json").out)["topic"] == "/data/ChangeEvents"


def test_without_a_daemon_the_status_is_3(
    rtsd: Rtsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of every verb that asks it; a verb without its words is a mistake of usage."""
    monkeypatch.setenv("RTSD_SOCKET", str(tmp_path / "nobody.sock"))
    for words in (("stream",), ("stream", "status"), ("stream", "status", "--json")):
        assert rtsd(*words).status == 3
    for verb in ("enable", "disable"):
        assert rtsd("stream", verb).status == 2
        assert rtsd("stream", verb, "Contact", "-c", str(tmp_path / "none.toml")).status == 2


def test_status_and_stream_say_the_same(rtsd: Rtsd, daemon: Any) -> None:
    """Why it is away, what to fear of the position, what Interval Sync reads; nothing of what is absent."""
    shown = daemon.answers["GET /v1/status"] = deepcopy(daemon.answers["GET /v1/status"])
    assert "channel   gateway\n" in rtsd("status").out
    shown["gateway"] = {"listen": None}
    stream = {
        "topic": "/data/ChangeEvents",
        "connected": False,
        "since": shown["now"],
        "replay_age_s": 60 * 3_600,
        "deliveries_24h": 24_000,
        "deliveries_max": 25_000,
        "error": "No such topic. Select the objects.",
    }
    shown["push"] = {**shown["push"], "channel": "cdc", "stream": stream}
    for shown_object in shown["objects"]:
        shown_object["arrives_by"] = "push"
    shown["objects"][1]["arrives_by"] = "interval"
    for verb in ("status", "stream"):
        status, out, _ = rtsd(verb)
        assert status == 0
        assert "Change Data Capture, /data/ChangeEvents" in out
        assert "not connected for 0 ms: No such topic. Select the objects." in out
        assert "2 d old; Salesforce keeps events for 72 h\n" in out
        assert "0 to rtsd, 24,000 of 25,000 to all" in out
        assert "Interval Sync reads Lead: not selected in Change Data Capture." in out
        assert "gateway  " not in out
        assert "package  " not in out
    stream["replay_age_s"] = 80 * 3_600
    assert "what is missed is read by Interval Sync" in rtsd("stream").out
    shown["push"] = {**shown["push"], "channel": "", "stream": None}
    assert "channel   none: Interval Sync reads the changes" in rtsd("status").out
