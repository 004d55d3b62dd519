"""What contract sections 1 and 5 promise to users and programs, key by key, against the second org."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.processes.command import rtsd
from tests.support.second_org.data import ORG_ID
from tests.support.second_org.equality import differences
from tests.support.second_org.home import TOKEN, Home, home
from tests.support.second_org.org import CLIENT_ID
from tests.support.second_org.push import change, document, post
from tests.support.second_org.server import serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MODES = {"awaiting_package", "real_time", "interval", "disabled", "unreachable", "paused"}
STATES = {"pending", "loading", "live", "incomplete", "paused", "deferred", "error"}
KINDS = {
    *(
        "change",
        "mode",
        "audit",
        "drift",
        "repair",
        "quota",
        "error",
        "dead_letter",
        "package",
        "schema",
        "rule",
        "assistant",
        "action",
    ),
}
STATUS: dict[str, Any] = {
    "version": str,
    "protocol": int,
    "started_at": MOMENT,
    "now": MOMENT,
    "org": {
        **dict.fromkeys(("id", "name", "instance_url", "edition", "user"), str),
        **dict.fromkeys(("sandbox", "apex"), bool),
    },
    "gateway": {"listen": str, "public_url": (str, None)},
    "mode": MODES,
    "mode_since": MOMENT,
    "mode_reason": str,
    "package": {"state": str, "version": (str, None), "disabled": (bool, None), "last_seen_at": (str, None)},
    "push": {
        "last_at": (str, None),
        "last_heartbeat_at": (str, None),
        "quiet": {"live", "idle", "filtered", "silent", "unknown"},
        "quiet_proof": (str, None),
        **dict.fromkeys(("received_24h", "rejected_24h", "missed_24h"), int),
    },
    "objects": [
        {
            "name": str,
            "state": STATES,
            "rows": int,
            "expected_rows": int,
            "progress": float,
            "as_of": MOMENT,
            "freshness_ms": (dict, None),
            "drift": (dict, None),
            "error": (str, None),
        }
    ],
    "quota": {
        "limits": [
            {
                "name": str,
                **dict.fromkeys(("max", "remaining", "used_by_us", "used_by_others"), int),
                "exhausted_at": (str, None),
            }
        ],
        "calls_24h": dict.fromkeys(("audit", "interval", "repair", "describe", "package"), int),
    },
    "inbox": {"pending": int},
    "dead_letters": int,
    "errors_24h": int,
    "storage": {"ok"},
}


def fits(value: Any, shape: Any, where: str = "") -> list[str]:
    """Where a document does not have this shape: types, sets of values, patterns, alternatives."""
    if isinstance(shape, dict) and isinstance(value, dict):
        missing = [f"{where}.{key} is missing" for key in shape if key not in value]
        return missing + [w for k in shape if k in value for w in fits(value[k], shape[k], f"{where}.{k}")]
    if isinstance(shape, list) and value:
        return [
            wrong for n, element in enumerate(value) for wrong in fits(element, shape[0], f"{where}[{n}]")
        ]
    if isinstance(shape, tuple):
        right = any(not fits(value, alternative, where) for alternative in shape)
    elif isinstance(shape, set):
        right = value in shape
    elif isinstance(shape, re.Pattern):
        right = isinstance(value, str) and shape.fullmatch(value) is not None
    else:
        right = value is None if shape is None else type(value) is shape
    return [] if right else [f"{where}: {value!r}"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place() -> AsyncIterator[Home]:
    """A small mirror, pushed to once, watched."""
    objects: dict[str, dict[str, Any]] = {"Contact": {}, "CaseStatus": {}}
    async with serving(contacts=40) as org, home(org, objects=objects) as mine:
        await mine.start()
        await live(mine)
        await touch(mine)

        async def is_real_time() -> bool:
            return bool((await mine.get("/v1/status"))["mode"] == "real_time")

        await eventually(is_real_time, "the push is evidence")
        yield mine


async def live(place: Home, *names: str, within: float = 20) -> dict[str, Any]:
    """Wait until every object is live, and these are there; the status then."""
    last: dict[str, Any] = {}

    async def probe() -> bool:
        try:
            last.update(await place.get("/v1/status"))
        except OSError:
            assert place.processes[-1].returncode is None, place.log
            return False
        states = {mirrored["name"]: mirrored["state"] for mirrored in last["objects"]}
        return set(states.values()) == {"live"} and states.keys() >= set(names)

    await eventually(probe, "live", within)
    return last


async def touch(place: Home, number: int = 0) -> str:
    """Edit and push one Contact; its id, once that is applied."""
    person = list(place.org.records.objects["Contact"].rows)[number]
    place.org.records.update("Contact", person, Email=f"{number}.touched@example.com")
    told = document(place.org, change(place.org, "Contact", "update", person, changed=["Email"]))
    assert (await post(place.port, told)).status == 200
    await eventually(lambda: not differences(place, "Contact"), "the push is applied")
    return person


async def test_status_has_every_key(place: Home) -> None:
    """`GET /v1/status` and `rtsd status --json` are one document, of the contract's shape."""
    status = await place.get("/v1/status")
    assert fits(status, STATUS) == []
    assert status["org"]["id"] == ORG_ID
    assert status["org"]["instance_url"] == place.org.instance_url
    assert (status["org"]["edition"], status["org"]["apex"]) == ("Professional Edition", False)
    assert (status["mode"], status["push"]["quiet"]) == ("real_time", "live")
    assert status["push"]["received_24h"] == 1
    contact = next(mirrored for mirrored in status["objects"] if mirrored["name"] == "Contact")
    assert fits(contact["freshness_ms"], dict.fromkeys(("p50", "p95", "p99"), int)) == []
    assert (contact["rows"], contact["expected_rows"], contact["progress"]) == (40, 40, 1.0)
    assert fits((await place.verb("status", "--json")).json(), STATUS) == []


async def test_events_are_lines_of_the_journal(place: Home) -> None:
    """A change tells its object, id, source, outcome and latency; sequence numbers rise; filters hold."""
    person = await touch(place, 1)
    events = await place.lines("/v1/events?object=Contact&limit=1000", 1_000)
    assert {event["type"] for event in events} <= KINDS
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    mine = next(event for event in events if event.get("id") == person)
    wanted = {"seq": int, "at": MOMENT, "type": {"change"}, "object": {"Contact"}, "id": {person}}
    wanted |= {"op": {"update"}, "source": {"push"}, "outcome": {"applied"}, "latency_ms": int}
    assert fits(mine, wanted) == []
    assert mine["changed"] == ["Email"]
    later = await place.lines(f"/v1/events?after={mine['seq'] - 1}&limit=1", 2)
    assert [event["seq"] for event in later] == [mine["seq"]]
    printed = await place.verb("events", "--json", "--object", "Contact", "--after", "0")
    assert mine["seq"] in [json.loads(line)["seq"] for line in printed.out.splitlines()]


async def test_the_feed_begins_with_a_snapshot_and_thins_to_frames(place: Home) -> None:
    """`follow=1` sends the status and then what happens; `hz` sends frames with absolute counters."""
    following = asyncio.create_task(place.lines("/v1/events?follow=1&object=Contact", 2))
    framed = asyncio.create_task(place.lines("/v1/events?follow=1&hz=10&rows=5", 3))
    await asyncio.sleep(0.5)  # until both have connected
    person = await touch(place, 2)
    snapshot, event = await asyncio.wait_for(following, 5)
    assert snapshot["type"] == "snapshot"
    assert fits(snapshot["status"], STATUS) == []
    assert (event["type"], event["id"]) == ("change", person)
    frames = [line for line in await asyncio.wait_for(framed, 5) if line["type"] == "frame"]
    assert frames
    for frame in frames:
        assert fits(frame, {"seq": int, "counters": dict, "skipped": int}) == []
        assert len(frame["rows"]) <= 5


async def test_records_explain_themselves(place: Home) -> None:
    """A record, why it is as it is, and its past can be asked for with either form of its id."""
    person = await touch(place, 3)
    for path in ("", "/why", "/history"):
        answer = await place.get(f"/v1/objects/Contact/records/{person[:15]}{path}")
        assert person in json.dumps(answer), path
    status = await place.verb("history", "Contact", person, "--json")
    assert status.status == 0
    assert '"push"' in status.out


async def test_every_document_of_the_contract_is_served(place: Home) -> None:
    """Each named path answers; a query is read-only; an error has its shape."""
    for path in ("/v1/quota/history", "/v1/errors", "/v1/dead-letters", "/v1/objects/Contact/conditions"):
        assert isinstance(await place.get(path), dict), path
    async with place.control() as session:
        async with session.get("http://rtsd/metrics") as answer:
            assert answer.status == 200
            assert "# TYPE" in await answer.text()
        for sql, status in (("SELECT count(*) AS n FROM Contact", 200), ("DELETE FROM Contact", 400)):
            async with session.post("http://rtsd/v1/query", json={"sql": sql}) as answer:
                assert answer.status == status, sql
                told = await answer.json()
        assert set(told) >= {"error", "message"}
        async with session.get("http://rtsd/v1/objects/Nothing/records/003000000000001") as answer:
            assert answer.status == 404
            assert set(await answer.json()) >= {"error", "message"}
        async with session.post("http://rtsd/v1/objects/CaseStatus/audit", json={}) as answer:
            assert answer.status == 202
            assert type((await answer.json())["run"]) is int
        async with session.post(
            "http://rtsd/v1/objects/CaseStatus/audit?wait=1", json={"full": True}
        ) as answer:
            assert answer.status == 200
            assert (await answer.json())["objects"][0]["checked"] == 7
    health = f"http://127.0.0.1:{place.port}/healthz"
    async with aiohttp.ClientSession() as session, session.get(health) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")


async def test_check_prices_and_tells_what_is_missing(place: Home) -> None:
    """An edition without Apex, objects and the price are in `rtsd check --json`; with problems it is 1."""
    ended = await place.verb("check", "--json", config=True)
    assert ended.status == 1
    told = ended.json()
    price = {
        "rows": int,
        "api_calls": int,
        "bulk_jobs": int,
        "mb": float,
        "minutes": float,
        "share_of_daily": dict,
    }
    assert fits(told, {"estimate": price, "problems": [{"what": str, "do": str}]}) == []
    assert told["estimate"]["rows"] == 47
    assert any("Professional Edition" in problem["what"] for problem in told["problems"])


async def test_a_first_configuration_is_written_for_another_org(place: Home) -> None:
    """What `rtsd init` asks of an org is what is documented: it is led to a file, and told of no Apex."""
    config = place.place / "fresh" / "rtsd.toml"
    words = ["init", "--yes", "--json", "-c", str(config), "--login-url", place.org.login_url]
    words += ["--auth", "client_credentials", "--client-id", CLIENT_ID, "--object", "contact"]
    words += [
        "--client-secret-file",
        str(place.place / "sf-secret"),
        "--store",
        str(config.with_name("m.db")),
    ]
    refused = await rtsd(*words, "--channel", "gateway", "--public-url", "http://127.0.0.1:8787")
    assert (refused.status, config.exists()) == (1, False)
    assert "runs no Apex" in refused.json()["problems"][0]["what"]
    ended = await rtsd(*words, "--channel", "none")
    assert ended.status == 0, ended.err
    assert [found["name"] for found in ended.json()["objects"]] == ["Contact"]
    assert config.exists()


async def test_an_api_version_that_the_org_does_not_know(place: Home) -> None:
    """The check says so and what to do, whatever the org calls a path that is not there."""
    org = {"login_url": place.org.login_url, "client_id": CLIENT_ID, "client_secret_file": "sf-secret"}
    place.write_config({"org": org | {"api_version": "70.0"}})
    ended = await place.verb("check", "--json", config=True)
    place.write_config()
    assert ended.status == 1
    (problem,) = ended.json()["problems"]
    assert "70.0" in problem["what"]
    assert "org.api_version" in problem["do"]


async def test_exit_statuses(place: Home) -> None:
    """0 done, 1 a problem, 2 usage or configuration, 3 no daemon, 75 a second instance; never a traceback."""
    second = asyncio.create_task(place.verb("run", config=True))
    assert (await place.verb("objects")).status == 0
    ended = {
        1: await place.verb("audit", "Nothing__c"),
        2: await place.verb("why", "Contact"),
        3: await Home(place.org, place.place / "elsewhere", {}).verb("status"),
        75: await second,
    }
    assert {wanted: verb.status for wanted, verb in ended.items()} == {wanted: wanted for wanted in ended}
    for ended_verb in ended.values():
        assert "Traceback" not in ended_verb.err
        assert 1 <= len(ended_verb.err.strip().splitlines()) <= 3, ended_verb.err


async def test_pause_and_resume(place: Home) -> None:
    """A paused object says so; a resumed one is live again, once the delete log reaches past the resume.

    The log goes by minutes here, and lags behind.
    """
    place.org.habits.covered_s = 2.0
    assert (await place.verb("pause", "Contact")).status == 0
    states = {mirrored["name"]: mirrored["state"] for mirrored in (await place.get("/v1/status"))["objects"]}
    assert states == {"Contact": "paused", "CaseStatus": "live"}
    assert (await place.verb("resume", "Contact")).status == 0
    await live(place, within=100)
    await touch(place, 4)


async def test_sighup_takes_what_can_change_and_refuses_nonsense(place: Home) -> None:
    """A second token is good after a reload; a broken file changes nothing."""
    (place.place / "push-token").write_text(f"another-token-0123456789abcdef\n{TOKEN}\n")
    ping = {"v": 1, "kind": "test", "org": ORG_ID, "sent": "2026-03-01T10:00:00Z"}
    place.processes[-1].send_signal(signal.SIGHUP)

    async def taken() -> bool:
        return (await post(place.port, ping, token="another-token-0123456789abcdef")).status == 200

    await eventually(taken, "the new token is good")
    (place.place / "rtsd.toml").write_text("[org\n")
    place.processes[-1].send_signal(signal.SIGHUP)
    await touch(place, 5)
    assert place.processes[-1].returncode is None


async def test_sigterm_ends_with_0(place: Home) -> None:
    """The daemon stops at once, and its mirror is whole."""
    assert await place.end() == 0
    assert [row[0] for row in place.read("PRAGMA integrity_check")] == ["ok"]
    assert differences(place, "Contact") == []
