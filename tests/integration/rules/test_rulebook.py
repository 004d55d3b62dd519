"""Rules against the mirror's columns and sources: at the start, while running, over the past."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from rtsd import config
from rtsd.core.instant import to_iso
from rtsd.daemon.rules import replace
from rtsd.errors import ConfigError, StoreError
from rtsd.store import error_log
from tests.support.full_disk import accept_rows, refuse_rows
from tests.support.inprocess.rules import Make, Receiver, Ruled

WRONG = 'when = "Emial IS NOT NULL"'


async def ask(sender: Ruled, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a call on the control socket."""
    connector = aiohttp.UnixConnector(str(sender.rig.place / "rtsd.sock"))
    async with (
        aiohttp.ClientSession(connector=connector) as http,
        http.request(method, f"http://rtsd{path}", json=body) as answer,
    ):
        return answer.status, json.loads(await answer.read())


async def shown(sender: Ruled) -> dict[str, Any]:
    """The first rule, as `GET /v1/rules` shows it."""
    status, found = await ask(sender, "GET", "/v1/rules")
    assert status == 200
    rule: dict[str, Any] = found["rules"][0]
    return rule


async def test_a_first_start_refuses_a_column_that_is_none(ruled: Make, receiver: Receiver) -> None:
    """Exit status 2, with the key, what was probably meant, and the names there are."""
    with pytest.raises(ConfigError) as refused:
        await ruled(receiver.rule(more=WRONG))
    (line,) = refused.value.mistakes
    assert line.startswith(
        "rules[watch].when: Contact has no column Emial in the mirror (did you mean Email?); "
    )
    assert "LastName" in line
    assert refused.value.exit_status == 2


async def test_a_later_start_refuses_it_too(ruled: Make, receiver: Receiver) -> None:
    """The mirror knows the columns without asking the org."""
    sender = await ruled("", run=False)
    async with sender.rig.running():
        await sender.begin()
    sender.rig.more = receiver.rule(more=WRONG)
    with pytest.raises(ConfigError):
        async with sender.rig.running():
            pass


async def test_a_field_that_is_not_mirrored_any_more_is_a_mistake(ruled: Make, receiver: Receiver) -> None:
    """Whoever excludes a field that a rule needs is told at the start, not when the rule falls silent."""
    sender = await ruled(receiver.rule(more='when = "Department IS NULL"'), run=False)
    async with sender.rig.running():
        await sender.begin()
    sender.rig.objects = ()
    sender.rig.more += '[[objects]]\nname = "Contact"\nexclude = ["Department"]\n'
    with pytest.raises(ConfigError) as refused:
        async with sender.rig.running():
            pass
    assert "no column Department" in refused.value.mistakes[0]


async def test_a_column_that_vanishes_is_an_error_of_the_rule(ruled: Make, receiver: Receiver) -> None:
    """Shown with its reason, never a crash, over restarts; it ends when the field is back."""
    sender = await ruled(receiver.rule(more='when = "Department IS NULL"\n'), run=False)
    rig = sender.rig
    field = {"object": "Contact", "field": "Department"}
    async with rig.running():
        await sender.begin()
        assert (await shown(sender))["error"] is None
        await rig.sim.control("schema", {"op": "remove_field", **field})
        rig.advance(4_000)
        await rig.parts.readers.describer.describe(rig["Contact"])
        await rig.dml("create", "Contact", rows=[{"LastName": "unjudged"}])
        await sender.settle()
        assert receiver.seen == []
        assert "no column Department" in (await shown(sender))["error"]
        errors = (await ask(sender, "GET", "/v1/errors"))[1]["errors"]
        assert [error["error"] for error in errors] == ["RuleFailed"]
        assert await sender.outcomes() == ["error"]
    async with rig.running():
        assert "no column Department" in (await shown(sender))["error"]
        add = {"op": "add_field", "object": "Contact", "field": {"name": "Department", "type": "string"}}
        await rig.sim.control("schema", add)
        rig.advance(4_000)
        await rig.parts.readers.describer.describe(rig["Contact"])
        assert (await shown(sender))["error"] is None


async def test_a_rules_failure_is_reported_after_a_write_that_failed(ruled: Make, receiver: Receiver) -> None:
    """The report was rolled back with the changes, so the next try reports it."""
    sender = await ruled(receiver.rule(more='when = "Department IS NULL"\n'))
    rig = sender.rig
    await rig.sim.control("schema", {"op": "remove_field", "object": "Contact", "field": "Department"})
    rig.advance(4_000)
    await rig.parts.readers.describer.describe(rig["Contact"])
    await refuse_rows(rig.parts.base.database, "_rts_meta")
    await rig.dml("create", "Contact", rows=[{"LastName": "unjudged"}])
    with pytest.raises(StoreError):
        await sender.settle()
    await accept_rows(rig.parts.base.database, "_rts_meta")
    for _ in range(2):
        await rig.dml("create", "Contact", rows=[{"LastName": "unjudged"}])
        await sender.settle()
    reports = await error_log.newest(rig.parts.base.database)
    assert [(report.error, report.count) for report in reports] == [("RuleFailed", 1)]


@pytest.mark.parametrize(("fire_on", "count"), [(None, 1), ('["push"]', 0), ('["interval"]', 1)])
async def test_a_change_that_a_window_found_fires_unless_it_is_not_asked_for(
    ruled: Make, receiver: Receiver, fire_on: str | None, count: int
) -> None:
    """`fire_on` names the sources that count; by default what happened counts, however it was learnt."""
    sender = await ruled(receiver.rule(more=f"fire_on = {fire_on}" if fire_on else ""))
    await sender.rig.sim.fault("push_lost", count=1)
    sender.rig.advance(60)
    await sender.rig.dml("create", "Contact", rows=[{"LastName": "unseen"}])
    await sender.settle()
    assert receiver.seen == []
    sender.rig.advance(60)
    await sender.rig.parts.services.interval_sync.step()
    await sender.deliver()
    assert len(receiver.seen) == count


@pytest.mark.parametrize(("fire_on", "count"), [(None, 0), ('["audit"]', 1)])
async def test_what_a_full_audit_finds_fires_only_if_asked_for(
    ruled: Make, receiver: Receiver, fire_on: str | None, count: int
) -> None:
    """A row that only a full read brought may be years old."""
    sender = await ruled(receiver.rule(more=f"fire_on = {fire_on}" if fire_on else ""))
    ((record_id,),) = await sender.rig.rows("SELECT MIN(Id) FROM Contact")
    async with sender.rig.parts.base.database.transaction() as tx:
        await tx.execute("DELETE FROM Contact WHERE Id=?", (record_id,))
    await sender.rig.parts.readers.audit.run(sender.rig["Contact"])
    await sender.deliver()
    assert [document["record"]["Id"] for document in receiver.documents] == [record_id] * count


async def test_while_loading_only_what_is_new_fires(ruled: Make, receiver: Receiver) -> None:
    """A record that a push only names is fetched: created now it fires, created long ago not."""
    sender = await ruled(run=False)
    rig = sender.rig
    async with rig.running():
        old = await rig.a_record("Contact")
        await rig.parts.readers.describer.step()
        rig.advance(86_400)
        (new,) = await rig.dml("create", "Contact", rows=[{"LastName": "New"}])
        rig["Contact"].freshness.loaded_from = rig.now() - 60_000
        ids = ({"object": "Contact", "op": "update", "id": record_id} for record_id in (old, new))
        assert (await rig.push(rig.changes(*ids)))[0] == 200
        await rig.settle()
        assert len(await rig.rows("SELECT Id FROM Contact")) == 2
        assert not rig["Contact"].loaded
        await sender.deliver()
        await rig.parts.rule_engine.deliverer.close()
    assert receiver.names == ["New"]


async def test_privacy_comes_before_rules(ruled: Make, receiver: Receiver) -> None:
    """What must not reach the disk does not leave it either: record, old values and `when` see the same."""
    sender = await ruled(receiver.rule(more="when = \"Phone LIKE '%34'\""), run=False)
    sender.rig.objects = ()
    sender.rig.more += '[[objects]]\nname = "Contact"\n[objects.privacy]\nPhone = "last4"\nEmail = "drop"\n'
    async with sender.rig.running():
        await sender.begin()
        row = {"LastName": "Ada", "Phone": "+43 1 1234", "Email": "a@b.co"}
        (record_id,) = await sender.rig.dml("create", "Contact", rows=[row])
        await sender.settle()
        await sender.rig.dml("update", "Contact", rows=[{"Id": record_id, "LastName": "Ada L."}])
        await sender.settle()
        await sender.rig.parts.rule_engine.deliverer.close()
    assert len(receiver.seen) == 2
    text = json.dumps(receiver.documents)
    assert "+43" not in text
    assert "a@b.co" not in text


async def test_the_list_shows_how_deliveries_fare(ruled: Make, receiver: Receiver) -> None:
    """Counts of a day, what waits, the circuit; the target without its query, and never a secret."""
    sender = await ruled(receiver.rule() + receiver.rule("second", on='["delete"]'))
    receiver.status = 503
    for number in range(6):
        await sender.rig.dml("create", "Contact", rows=[{"LastName": f"c{number}"}])
    await sender.settle()
    rule = await shown(sender)
    assert rule["target"] == f"http://127.0.0.1:{receiver.port}/hook"
    names = (
        "name",
        "object",
        "on",
        "action",
        "fired_24h",
        "delivered_24h",
        "pending",
        "failed_24h",
        "circuit",
    )
    connector = aiohttp.UnixConnector(str(sender.rig.place / "rtsd.sock"))
    async with aiohttp.ClientSession(connector=connector) as http, http.get("http://rtsd/metrics") as answer:
        lines = (await answer.text()).splitlines()
    assert {'rtsd_rule_pending{rule="watch"} 6.0', 'rtsd_rule_circuit_open{rule="watch"} 1.0'} <= set(lines)
    assert [rule[name] for name in names] == [
        "watch",
        "Contact",
        ["create", "update"],
        "webhook",
        6,
        0,
        6,
        6,
        "open",
    ]
    receiver.status = 200
    for _ in range(4):
        sender.rig.advance(30)
        await sender.deliver()
    rule = await shown(sender)
    counted = ("fired_24h", "delivered_24h", "pending", "failed_24h", "dead_letters", "circuit", "error")
    assert [rule[name] for name in counted] == [6, 6, 0, 6, 0, "closed", None]
    assert rule["last_fired_at"] <= to_iso(sender.rig.now())
    sender.rig.advance(90_000)
    assert [(await shown(sender))[name] for name in counted[:4]] == [0, 0, 0, 0]
    second = (await ask(sender, "GET", "/v1/rules"))[1]["rules"][1]
    assert (second["name"], second["fired_24h"]) == ("second", 0)
    assert "secret" not in json.dumps(await ask(sender, "GET", "/v1/rules"))


async def test_a_dead_letter_of_a_rule_is_shown_retried_and_dropped(ruled: Make, receiver: Receiver) -> None:
    """As any other, and told apart by its kind; a retry goes to the receiver, not into the inbox."""
    sender = await ruled()
    for name in ("first", "second"):
        await sender.rig.dml("create", "Contact", rows=[{"LastName": name}])
    await sender.rig.settle()
    sender.rig.parts.rule_engine.replace([], [])
    await sender.deliver()
    letters = (await ask(sender, "GET", "/v1/dead-letters"))[1]["dead_letters"]
    assert [(letter["kind"], letter["rule"], letter["object"]) for letter in letters] == [
        ("delivery", "watch", "Contact")
    ] * 2
    latest = letters[0]["id"]
    assert (await ask(sender, "GET", f"/v1/dead-letters/{latest}"))[1]["delivery"]["record"][
        "LastName"
    ] == "second"
    status, refusal = await ask(sender, "POST", f"/v1/dead-letters/{latest}/retry")
    assert (status, refusal["error"]) == (409, "Conflict")
    replace(sender.rig.parts.rule_engine, config.load(sender.rig.place / "rtsd.toml"))
    assert (await ask(sender, "POST", f"/v1/dead-letters/{latest}/retry"))[0] == 200
    assert (await ask(sender, "POST", f"/v1/dead-letters/{letters[1]['id']}/drop"))[0] == 200
    await sender.settle()
    assert receiver.names == ["second"]
    assert (await ask(sender, "GET", "/v1/dead-letters"))[1]["dead_letters"] == []


async def test_what_waits_goes_where_its_rule_sends_now(ruled: Make, receiver: Receiver) -> None:
    """A corrected URL helps at once, and the order of a record stays."""
    wrong = receiver.rule().replace(f":{receiver.port}/", ":1/")
    sender = await ruled(wrong)
    (record_id,) = await sender.rig.dml("create", "Contact", rows=[{"LastName": "first"}])
    await sender.settle()
    await sender.rig.dml("update", "Contact", rows=[{"Id": record_id, "LastName": "second"}])
    await sender.settle()
    path = sender.rig.place / "rtsd.toml"
    path.write_text(path.read_text().replace(":1/hook", f":{receiver.port}/hook"))
    replace(sender.rig.parts.rule_engine, config.load(path))
    await sender.deliver()
    assert receiver.names == ["first", "second"]


async def test_rules_that_come_to_send_to_one_place_keep_the_order(ruled: Make, receiver: Receiver) -> None:
    """What waited apart waits in one line then."""
    rules = receiver.rule("created", on='["create"]').replace(f":{receiver.port}/", ":1/")
    rules += receiver.rule("updated", on='["update"]').replace(f":{receiver.port}/", ":2/")
    sender = await ruled(rules)
    (record_id,) = await sender.rig.dml("create", "Contact", rows=[{"LastName": "first"}])
    await sender.settle()
    await sender.rig.dml("update", "Contact", rows=[{"Id": record_id, "LastName": "second"}])
    await sender.settle()
    path = sender.rig.place / "rtsd.toml"
    here = f":{receiver.port}/hook"
    path.write_text(path.read_text().replace(":1/hook", here).replace(":2/hook", here))
    replace(sender.rig.parts.rule_engine, config.load(path))
    receiver.held = asyncio.Event()
    deliverer = sender.rig.parts.rule_engine.deliverer
    await deliverer.turn()
    assert deliverer.under_way == 1
    receiver.held.set()
    await sender.deliver()
    assert receiver.names == ["first", "second"]


async def test_a_reload_with_a_wrong_rule_changes_nothing(ruled: Make, receiver: Receiver) -> None:
    """The mistake is told, and what ran runs on."""
    sender = await ruled()
    path = sender.rig.place / "rtsd.toml"
    path.write_text(path.read_text().replace("[rules.webhook]", f"{WRONG}\n[rules.webhook]"))
    with pytest.raises(ConfigError, match="mistake"):
        replace(sender.rig.parts.rule_engine, config.load(path))
    await sender.rig.dml("create", "Contact", rows=[{"LastName": "Ada"}])
    await sender.settle()
    assert receiver.names == ["Ada"]


async def test_a_dry_run_says_what_would_have_fired(ruled: Make, receiver: Receiver) -> None:
    """By the journal, with the values as they were then, for changes before the rule and after."""
    more = "when = \"LastName LIKE 'b%' AND old.LastName LIKE 'a%'\""
    sender = await ruled(receiver.rule(on='["update", "delete"]', more=more))
    began = to_iso(sender.rig.now())
    (record_id,) = await sender.rig.dml("create", "Contact", rows=[{"LastName": "a1"}])
    for name in ("b1", "b2", "a2", "b3", "c"):
        await sender.rig.dml("update", "Contact", rows=[{"Id": record_id, "LastName": name}])
        await sender.rig.settle()
    await sender.rig.dml("delete", "Contact", ids=[record_id])
    await sender.settle()
    fired = [document["event"]["seq"] for document in receiver.documents]
    assert len(fired) == 2
    status, found = await ask(sender, "POST", "/v1/rules/watch/test", {"since": began})
    assert status == 200
    assert [entry["seq"] for entry in found["entries"]] == fired
    assert (found["considered"], found["matched"], found["truncated"]) == (6, 2, False)
    assert (found["rule"], found["since"]) == ("watch", began)
    later = to_iso(sender.rig.now() + 1)
    assert (await ask(sender, "POST", "/v1/rules/watch/test", {"since": later}))[1]["considered"] == 0
    assert (await ask(sender, "POST", "/v1/rules/nope/test", {"since": began}))[0] == 404
    assert (await ask(sender, "POST", "/v1/rules/watch/test", {"since": "yesterday"}))[0] == 400
    assert len(receiver.seen) == 2, "nothing was sent"
