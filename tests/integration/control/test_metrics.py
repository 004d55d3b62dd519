"""`GET /metrics`: what is there, how it is named, and that alerts and dashboard ask for what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rtsd.control.protocol import Stream
from tests.support.inprocess.control import Socket
from tests.support.inprocess.rig import Rig, Start
from tests.support.mirror import ENGINE, sqlite_only

CONFIG = Path(__file__).parents[3] / "config"
TOKENS = re.compile(r"\b(?:rtsd|process)_[a-z0-9_]+")


async def scrape(socket: Socket) -> str:
    """What Prometheus gets."""
    async with socket.http.get("http://rtsd/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        return await answer.text()


def values(text: str) -> dict[str, float]:
    """Every sample by name and labels, as `name{label=value}`."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def names(text: str) -> set[str]:
    """Every name that can be asked for."""
    found = set()
    for family in text_string_to_metric_families(text):
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
        found |= {family.name + ending for ending in endings.get(family.type, ("",))}
    return found


async def test_metrics_say_what_status_says(socket: Socket) -> None:
    """Rows, states and mode are those of status; pushes and their refusals are counted by result."""
    rig = socket.rig
    heartbeat = {"v": 1, "kind": "heartbeat", "org": rig.org.org_id}
    assert (await rig.push(heartbeat, name="one"))[0] == 200
    assert (await rig.push(heartbeat, name="one"))[0] == 200
    assert (await rig.push(heartbeat, name="two", token="wrong"))[0] == 401
    _, status = await socket.ask("GET", "/v1/status")
    found = values(await scrape(socket))
    assert found["rtsd_pushes_total{result=accepted}"] == 1
    assert found["rtsd_pushes_total{result=duplicate}"] == 1
    assert found["rtsd_pushes_total{result=BadSignature}"] == 1
    assert found["rtsd_push_seconds_count"] == 3
    assert found["rtsd_object_rows{object=Contact}"] == status["objects"][0]["rows"] == 5
    assert found["rtsd_object_state{object=Contact,state=live}"] == 1
    assert found["rtsd_object_state{object=Contact,state=error}"] == 0
    assert found[f"rtsd_mode{{mode={status['mode']}}}"] == 1
    assert found["rtsd_api_limit_max{limit=DailyApiRequests}"] == status["quota"]["limits"][0]["max"]
    assert found["rtsd_fresh_goal_seconds"] == status["fresh_goal_ms"] / 1000
    assert found["rtsd_storage_ok"] == 1
    assert ENGINE == "postgres" or found["rtsd_database_bytes"] > 0
    assert (
        found["rtsd_store_reachable"] == found["rtsd_node_leads"] == found["rtsd_gateway_takes_pushes"] == 1
    )
    assert found["rtsd_store_away_seconds"] == found["rtsd_object_locked{object=Contact}"] == 0
    assert found["rtsd_store_transaction_seconds_count{of=inbox}"] == 2, "a duplicate is a transaction, too"
    assert found["rtsd_store_transaction_seconds_count{of=mirror}"] > 0
    assert (found.get("rtsd_lease_epoch") == 1) == (ENGINE == "postgres")
    assert found["process_open_fds"] > 0


async def test_a_subscription_has_values(socket: Socket) -> None:
    """The names are there on every channel, the values where there is a subscription."""
    without = await scrape(socket)
    assert values(without)["rtsd_push_channel{channel=gateway}"] == 1
    assert not [series for series in values(without) if series.startswith("rtsd_stream_")]
    assert "rtsd_stream_replay_age_seconds" in names(without)
    views = socket.rig.parts.views
    views.channel = "cdc"
    views.stream = lambda: Stream(
        topic="/data/ChangeEvents",
        connected=False,
        replay_age_s=200_000,
        deliveries_24h=410,
        deliveries_ours_24h=400,
        deliveries_max=25_000,
    )
    found = values(await scrape(socket))
    assert {name: value for name, value in found.items() if name.startswith("rtsd_stream_")} == {
        "rtsd_stream_connected": 0,
        "rtsd_stream_replay_age_seconds": 200_000,
        "rtsd_stream_deliveries_last_day{subscribers=rtsd}": 400,
        "rtsd_stream_deliveries_last_day{subscribers=all}": 410,
        "rtsd_stream_deliveries_max": 25_000,
    }
    assert found["rtsd_push_channel{channel=cdc}"] == 1
    assert found["rtsd_push_channel{channel=gateway}"] == 0


async def test_names_follow_the_conventions(socket: Socket) -> None:
    """One prefix, base units in the name, `_total` for counters only, and a sentence of help for each."""
    for family in text_string_to_metric_families(await scrape(socket)):
        assert re.fullmatch(r"(rtsd|process)_[a-z0-9_]+", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|millis|minutes|kb|mb|percent)(_|$)", family.name)
        assert family.type == "counter" or not family.name.endswith("_total")


async def test_no_sender_can_add_a_series(socket: Socket) -> None:
    """Whatever is sent, signed or not, the set of series stays as it was but for the errors' own names."""
    rig = socket.rig
    await rig.push({"v": 1, "kind": "test", "org": rig.org.org_id}, name="first")
    before = set(values(await scrape(socket)))
    for number in range(20):
        change = {"object": f"Nonsense{number}", "op": "create", "id": f"00Q{number:012d}"}
        await rig.push(rig.changes(change), name=f"id-{number}")
        await rig.push(b"{}", name=f"evil-{number}", headers={"webhook-signature": f"v{number},x"})
        async with rig.http.get(f"{rig.gateway}/nowhere/{number}"):
            pass
    new = set(values(await scrape(socket))) - before
    assert {
        series for series in new if not series.startswith(("rtsd_pushes_", "rtsd_journal_", "rtsd_gateway_"))
    } == set()
    assert len(new) < 10


def questions() -> Iterator[tuple[str, str]]:
    """Every expression of the example alerts and of the dashboard, with its title."""
    for group in yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            assert {"alert", "expr", "for", "labels", "annotations"} <= set(rule)
            assert {"summary", "do"} <= set(rule["annotations"])
            yield rule["alert"], rule["expr"]
    dashboard: dict[str, Any] = json.loads((CONFIG / "grafana.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@sqlite_only("the sizes of the files are among what is asked for")
async def test_alerts_and_dashboard_ask_for_what_is_there(socket: Socket) -> None:
    """No name in config/alerts.yml or config/grafana.json is misspelt or gone."""
    there = names(await scrape(socket))
    asked = [(title, name) for title, expression in questions() for name in TOKENS.findall(expression)]
    assert len({title for title, _ in asked}) > 20
    assert [(title, name) for title, name in asked if name not in there] == []


async def test_metrics_on_an_address_of_this_machine(start: Start) -> None:
    """[control] metrics serves the same over TCP, and nothing else of the control API."""
    rig: Rig = await start({"Contact": 1}, more='metrics = "127.0.0.1:0"\n')
    assert rig.parts.metrics is not None
    url = f"http://{rig.parts.metrics.address}"
    async with rig.http.get(f"{url}/metrics") as answer:
        assert "rtsd_build_info" in await answer.text()
    for path in ("/v1/status", "/v1/errors", "/"):
        async with rig.http.get(url + path) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("address", ["0.0.0.0:9187", "example.com:9187", "192.0.2.1:1"])
def test_metrics_are_not_for_the_network(address: str) -> None:
    """Whoever can reach the port can read the numbers, so it is open to this machine only."""
    from rtsd.config import values as parsers

    with pytest.raises(ValueError, match="reachable from outside"):
        parsers.loopback_listen(address)
