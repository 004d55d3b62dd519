"""G. Bulk plumbing, auth, supervision."""

from __future__ import annotations

import asyncio
import random
from dataclasses import fields

import pytest

from rtsd.daemon.parts import Services
from rtsd.daemon.run import run
from rtsd.salesforce.transport import Timeouts
from rtsd.services import Service
from tests.support.inprocess.stand import Stand, Standing
from tests.support.mirror import ENGINE
from tests.support.waiting import eventually

RED_WITHIN_S = 10.0
STREAM = '[push]\nchannel = "stream"\ntoken_file = "push-token"\nendpoint = "http://127.0.0.1:9"'
CAPTURE = '[push]\nchannel = "cdc"\nendpoint = "http://127.0.0.1:9"'
CHANNELS = {"subscriber": STREAM, "deliveries": STREAM, "capture": CAPTURE}
"""The configuration with which a service is there; the others are in every daemon with a gateway."""


@pytest.mark.parametrize("field", [field.name for field in fields(Services)])
@pytest.mark.parametrize("how", ["raises", "is cancelled"])
async def test_ac_14_a_task_that_dies_stops_the_daemon(stand: Standing, field: str, how: str) -> None:
    """Whichever service dies, in whatever way, the daemon ends loudly: nothing is green while broken."""
    if field in {"lease", "requests"} and ENGINE != "postgres":
        pytest.skip("PostgreSQL only: on SQLite there are no nodes")
    org = await (await stand({"Account": 1}, listen="127.0.0.1:0", more=CHANNELS.get(field, ""))).start()
    service = getattr(org.parts.services, field)
    if how == "raises":
        service.step = _fails
    running = asyncio.create_task(run(org.parts, asyncio.Event()))
    if how == "is cancelled":
        (task,) = await eventually(lambda: _tasks_of(service), "the service runs")
        task.cancel()
    async with asyncio.timeout(RED_WITHIN_S):
        with pytest.raises(ExceptionGroup) as ended:
            await running
    assert ended.group_contains(LookupError if how == "raises" else RuntimeError)


def _tasks_of(service: Service) -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == service.name]


async def _fails() -> float:
    """A step with a bug."""
    await asyncio.sleep(0)
    raise LookupError("a bug")


HOSTILE = [
    "two\nlines",
    "two\r\nlines",
    "old\rmac",
    '"quoted"',
    'a "quote" inside, and a comma',
    '""',
    '"',
    '",\n"',
    'ends with a quote"',
    "a,b,,c,",
    ",",
    "\n",
    "tab\tand; semicolon|pipe^caret`tick",
    'back\\slash \\n \\"',
    "'; DROP TABLE Lead; --",
    '=HYPERLINK("x")',
    "null",
    "NULL",
    "true",
    "0012",
    "1e5",
    "2026-01-01",
    "\ufefflooks like a byte order mark",
    "line\u2028separator\u2029paragraph\u0085next",
    "zero\u200bwidth\u200djoiner",
    "שלום עולם مرحبا 漢字 हिन्दी ไทย",
    "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 \U0001d518\U0001d52b",
    "e\u0301 is not é",
    "control \x01\x07\x1b[31m\x7f",
    "<b>&amp;</b>",
]


def _corpus(rng: random.Random, rows: int, length: int) -> list[str]:
    """The known troublemakers, texts that fill their field, and random mixtures of what hurts."""
    found = [*HOSTILE, "x" * length, '"' * length, "\n" * (length - 1) + "x", 'ü,"\n' * (length // 4)]
    while len(found) < rows:
        found.append(
            "x" + "".join(rng.choice([*HOSTILE, "a", " ", "é"]) for _ in range(rng.randint(1, 12))) + "x"
        )
    return found


@pytest.mark.parametrize("rows", [300, pytest.param(20_000, marks=pytest.mark.slow)])
async def test_ac_45_hostile_texts_arrive_byte_by_byte(stand: Standing, rows: int) -> None:
    """Whatever a text holds, it is the same in the mirror: by Bulk, by window and by id."""
    org = await stand({"Account": 0}, objects={"Account": {"fields": ["Id", "Name", "Site", "Long__c"]}})
    field = {"name": "Long__c", "type": "textarea", "length": 131_072}
    await org.simulated.control("schema", {"op": "add_field", "object": "Account", "field": field})
    corpus = _corpus(random.Random(rows), rows, 131_072)
    for start in range(0, len(corpus), 500):
        with org.org.transaction(org.org.admin):
            made = [
                {"Name": text[:255].strip() or "x", "Site": text[:80], "Long__c": text}
                for text in corpus[start : start + 500]
            ]
            for result in org.org.create(org.org.admin, "Account", made):
                result.unwrap()
    await org.loaded()
    without = await _unmirrored(org)
    assert await org.equal("Account", without=without) == len(corpus)
    held = {row[0] for row in org.sql("SELECT Long__c FROM Account")}
    assert set(corpus) <= held
    org.advance(60)
    ids = org.ids("Account")
    org.update("Account", ids[: len(ids) // 2], Rating="Hot")
    org.advance(60)
    await org.sabotage("UPDATE Account SET Long__c = 'lost', SystemModstamp = '2020-01-01T00:00:00.000Z'")
    await org.read()
    async with org.client() as client:
        await client.repair("Account", ids[len(ids) // 2 :])
    assert await org.equal("Account", without=without) == len(corpus)


async def _unmirrored(org: Stand) -> tuple[str, ...]:
    columns = org.mirror.columns("Account")
    (first, *_) = [row async for row in org.simulated.rows("Account")]
    return tuple(name for name in first if name.lower() not in columns)


async def test_ac_46_a_stalled_download_goes_on_where_it_was(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloads that stall, break or lie are resumed at their page: no row twice, no second job."""
    monkeypatch.setattr("rtsd.sync.audit.PAGE", 2_000)
    org = await (await stand({"Lead": 10_000})).start()
    org.parts.base.client.timeouts = Timeouts(stall_s=0.3)
    for kind in ("stall", "cut", "wrong_count"):
        await org.simulated.fault(kind, count=1, path="results")
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 10_000
    assert (await org.calls())["bulk_jobs"] == 1
    assert await org.rows_read() <= 10_000 + 3 * 2_000 + 10


async def test_ac_46_a_load_killed_ten_times_costs_a_page_a_time(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed anywhere, a load goes on at its page, in its job; the mirror is equal at the end."""
    page = 1_000
    monkeypatch.setattr("rtsd.sync.audit.PAGE", page)
    org = await stand({"Lead": 20_000})
    rng = random.Random(4)
    kills = 0
    for _ in range(10):
        await org.start()
        loading = asyncio.create_task(org.load())
        goal = await org.rows_read() + rng.randint(0, 3 * page)
        while not loading.done() and await org.rows_read() < goal:  # noqa: ASYNC110 - the org has no event
            await asyncio.sleep(0.005)
        kills += not loading.done()
        org.cut_off += 1
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await org.stop()
    await org.start()
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 20_000
    assert kills >= 8
    assert await org.rows_read() <= 20_000 + kills * page + 100
    assert (await org.calls())["bulk_jobs"] <= 1 + kills // 4


async def _rotating(stand: Standing, records: dict[str, int]) -> Stand:
    login = {"auth": "refresh_token", "refresh_token_file": "refresh"}
    org = await stand(records, login=login)
    await org.simulated.control("switches", {"rotate_refresh_tokens": True})
    org.secret("refresh", org.simulated.info["refresh_token"])
    return org


async def test_ac_47_rotation_survives_runs_and_expiries(stand: Standing) -> None:
    """Each refresh rotates the token, and each is on disk before it is used: restarts go on."""
    org = await _rotating(stand, {"Lead": 100})
    seen = set()
    await org.loaded()
    for turn in range(8):
        seen.add((org.place / "refresh").read_text())
        await org.simulated.control("sessions/expire")
        org.advance(120)
        if turn % 3 == 2:
            await org.stop()
            await org.start()
        org.create("Lead", 5)
        org.advance(60)
        await org.read()
        assert (await org.parts.views.status()).mode != "unreachable"
    assert len(seen) == 8
    assert await org.equal("Lead") == 140


async def test_ac_47_a_token_that_expires_during_a_download(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that ends between two pages is renewed, and the download goes on."""
    monkeypatch.setattr("rtsd.sync.audit.PAGE", 3_000)
    org = await _rotating(stand, {"Lead": 15_000})
    await org.start()
    # of its draws, the second and the fifth hit: in the middle, and never twice in a row
    await org.simulated.fault("expire_session", probability=0.4, seed=46, count=2, path="results")
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 15_000
    calls = await org.calls()
    assert calls["bulk_jobs"] == 1
    assert calls["logins"] == 3


async def test_ac_47_a_token_that_cannot_be_saved(stand: Standing) -> None:
    """The rotated token is not used before it is safe; it is saved by the next try, without a login."""
    org = await _rotating(stand, {"Lead": 50})
    await org.loaded()
    old = (org.place / "refresh").read_text()
    in_the_way = org.place / ".refresh.new"
    in_the_way.mkdir()
    await org.simulated.control("sessions/expire")
    org.create("Lead", 5)
    org.advance(120)
    await org.read()
    status = await org.parts.views.status()
    assert status.mode == "unreachable"
    assert "could not be saved" in (status.mode_reason or "")
    assert (org.place / "refresh").read_text() == old
    logins = (await org.calls())["logins"]
    in_the_way.rmdir()
    org.advance(3_600)
    await org.read()
    assert (await org.calls())["logins"] == logins
    assert (org.place / "refresh").read_text() != old
    assert (await org.parts.views.status()).mode != "unreachable"
    assert await org.equal("Lead") == 55


async def test_ac_47_a_revoked_token_makes_no_storm(stand: Standing) -> None:
    """A crash between receiving and saving leaves a dead token: one refusal, its reason, no more tries."""
    org = await _rotating(stand, {"Lead": 50})
    await org.loaded()
    first = org.simulated.info["refresh_token"]
    await org.stop()
    org.secret("refresh", first)  # what a crash before the save would have left
    await org.simulated.control("sessions/expire")
    await org.start()
    org.advance(120)
    before = (await org.calls())["logins"]
    for _ in range(5):
        await org.read()
        await org.load()
    status = await org.parts.views.status()
    assert status.mode == "unreachable"
    assert "refresh token" in (status.mode_reason or "") + (status.org.error or "")
    assert (await org.calls())["logins"] - before <= 5
    shown = await org.state("Lead")
    assert shown.rows == 50
