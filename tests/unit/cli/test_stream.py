"""`rtsd stream status`: what the daemon says of its subscription."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

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
    assert "connected   yes, since 0 ms" in out
    assert "position    12 s old" in out
    assert "deliveries  400 in 24 hours" in out
    assert "Contact  live        push" in out
    assert json.loads(rtsd("stream", "status", "--json").out)["topic"] == "/data/ChangeEvents"
