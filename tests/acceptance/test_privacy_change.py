"""A mirror that was loaded in the clear, and privacy that comes later: no file keeps what it may not."""

from __future__ import annotations

import asyncio
import json
import re
from hashlib import sha256
from typing import Any

import pytest

from rtsd.core.instant import to_iso
from rtsd.core.privacy import MaskedPush
from rtsd.store import rewriting
from rtsd.store.database import Database
from rtsd.store.inbox import Arrival
from rtsd.store.sqlite import indexes
from rtsd.workflows import check
from tests.support.inprocess.channels import connect, on_every_channel
from tests.support.inprocess.stand import Stand, Standing
from tests.support.mirror import ENGINE, postgres_only, sqlite_only

CANARY = {
    "Phone": "CANARY-PHONE-1",
    "Email": "CANARY-2@canary.example",
    "Title": "CANARY-TITLE-3",
    "Department": "CANARY-DEPARTMENT-4",
}
SEEN = "SEEN-5"
PRIVACY = {"Phone": "hash", "Email": "last4", "Title": "drop"}
RULES: list[dict[str, Any]] = [
    {"privacy": PRIVACY, "exclude": ["Department"]},
    {"exclude": list(CANARY)},
    {"fields": ["Id", "LastName", "AccountId"]},
    {"privacy": dict.fromkeys(CANARY, "hash")},
]


def _push(org: Stand, record: str, fields: dict[str, Any]) -> bytes:
    now = to_iso(org.now())
    stamp = now[:19] + ".000Z"
    change = {"object": "contact", "op": "update", "id": record, "modstamp": stamp, "fields": fields}
    head = {"v": 1, "kind": "changes", "org": org.org.org_id, "sent": now, "read_at": now}
    return json.dumps({**head, "changes": [change]}, separators=(",", ":")).encode()


async def _spread(stand: Standing) -> Stand:
    """A mirror with the canary in every place where a value lives."""
    org = await (await stand({"Contact": 60}, objects={"Contact": {}})).loaded()
    org.advance(60)
    ids = org.ids("Contact")
    org.update("Contact", ids, LastName=SEEN, **CANARY)
    org.advance(60)
    await org.read()
    org.update("Contact", ids[:20], Phone="+1")
    org.org.delete(org.org.admin, "Contact", ids[40:50])
    org.advance(60)
    await org.read()
    values = {"Id": ids[0], "LastName": SEEN, **CANARY}
    await _received(org, "1", _push(org, ids[0], {**values, "Strange__c": 1}))
    await org.parts.services.realtime.apply_batch()
    await _received(org, "2", _push(org, ids[1], {**values, "Id": ids[1]}))
    document = json.dumps({"v": 1, "rule": "r", "event": {}, "record": values, "old": values}).encode()
    delivery = "_rts_outbox (webhook_id, rule, destination, object, record, event, created_at, body)"
    delivery = f"INSERT INTO {delivery} VALUES ('w', 'r', 'd', 'Contact', ?, 1, 0, ?)"
    await org.sabotage(delivery, ids[0], document)
    letter = "_rts_dead_letter (at, reason, message, object, record, body, kind, rule, webhook_id)"
    letter = f"INSERT INTO {letter} VALUES ('', ?, '', ?, ?, ?, ?, 'r', 'w')"
    await org.sabotage(letter, "x", "Contact", ids[0], document, "delivery")
    await org.sabotage(letter, "y", None, None, b"CANARY-6 {", "push")
    return org


async def _received(org: Stand, webhook_id: str, body: bytes) -> None:
    """Put a push into the inbox."""
    async with org.taking():
        await asyncio.sleep(0)  # it runs
        await org.parts.services.inbox.append(Arrival(webhook_id, org.now(), MaskedPush(body)))


def _stored(org: Stand) -> bytes:
    """Every byte that is stored, backups included."""
    backups = b"".join(path.read_bytes() for path in org.place.glob("copy.db*"))
    return org.mirror.content() + backups


async def _backed_up(org: Stand) -> None:
    if ENGINE == "postgres":  # its backups are not rtsd's
        return
    async with org.client() as client:
        with (org.place / "copy.db").open("wb") as file:

            def keep(chunk: bytes, _size: int) -> None:
                file.write(chunk)

            await client.backup(keep)


@pytest.mark.parametrize("rules", RULES, ids=["privacy", "exclude", "fields", "hash"])
async def test_privacy_that_comes_later_reaches_every_place(stand: Standing, rules: dict[str, Any]) -> None:
    """Table, tombstones, journal, inbox, outbox, dead letters, free pages, WAL, and backups made after."""
    org = await _spread(stand)
    assert _stored(org).count(b"CANARY") > 100
    await org.restart({"Contact": rules})
    await _backed_up(org)
    content = _stored(org)
    assert SEEN.encode() in content
    assert b"CANARY" not in content
    (said,) = await org.journal("schema")
    assert (said.message or "").startswith("privacy, exclude and fields were applied to everything stored: ")
    assert "Rewritten: 50 rows, 10 tombstones, " in (said.message or "")
    assert "journal entries, 1 waiting push, 1 waiting delivery, 2 dead letters. " in (said.message or "")
    assert (said.detail or {})["rewritten"].keys() >= {"rows", "tombstones", "journal", "inbox", "outbox"}
    await org.parts.services.realtime.apply_batch()
    await org.load()
    assert (await org.state("Contact")).state == "live"
    await org.audit("Contact", full=True)
    assert b"CANARY" not in _stored(org)
    masked = tuple(rules.get("privacy", ()))
    if "fields" not in rules:
        await _equal(org, rules, masked)


async def _equal(org: Stand, rules: dict[str, Any], masked: tuple[str, ...]) -> None:
    """What was rewritten is what a read brings: the full read found nothing to change."""
    changes = "SELECT COUNT(*) FROM _rts_journal WHERE type='change' AND source='audit' AND op='update'"
    assert org.sql(changes)[0][0] == 0
    columns = org.sql("SELECT * FROM Contact LIMIT 1")[0].keys()
    assert all(name in columns for name in CANARY), "views that name them stay alive"
    for name in rules.get("exclude", ()):
        assert org.sql(f"SELECT COUNT({name}) FROM Contact")[0][0] == 0
    for name in masked:
        assert (org.sql(f"SELECT COUNT({name}) FROM Contact")[0][0] > 0) is (rules["privacy"][name] != "drop")


async def test_a_kill_in_between_repeats_the_rest(stand: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is killed, each value is hashed once, and nothing is left in the clear."""
    monkeypatch.setattr(rewriting, "ROWS_AT_ONCE", 7)
    org = await _spread(stand)
    await org.stop()
    org.objects = {
        "Contact": {"privacy": {"Phone": "hash", "Email": "hash"}, "exclude": ["Title", "Department"]}
    }
    begin, left = Database.transaction, 0

    def killed(database: Database) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise asyncio.CancelledError
        return begin(database)

    kills = 0
    with monkeypatch.context() as deadly:
        deadly.setattr(Database, "transaction", killed)
        for allowed in [3] * 8 + [1_000_000]:
            left = allowed
            try:
                await org.start()
            except asyncio.CancelledError:
                kills += 1
                await org.stop()
    assert kills == 8
    assert b"CANARY" not in _stored(org)
    await org.parts.services.realtime.apply_batch()
    await org.load()
    await org.audit("Contact", full=True)
    changes = "SELECT COUNT(*) FROM _rts_journal WHERE type='change' AND source='audit' AND op='update'"
    assert org.sql(changes)[0][0] == 0
    assert (await org.state("Contact")).state == "live"


async def test_what_no_rule_can_tell_is_read_again(stand: Standing) -> None:
    """A value under another mask, and one that may be shown again: the object is incomplete until then."""
    org = await (await stand({"Contact": 30}, objects={"Contact": {"privacy": PRIVACY}})).loaded()
    org.advance(60)
    for privacy in ({"Phone": "last4", "Title": "hash"}, {"Phone": "hash"}, {}):
        await org.restart({"Contact": {"privacy": privacy}})
        shown = await org.state("Contact")
        assert shown.state == "incomplete"
        assert "columns are being filled" in (shown.error or "")
        await org.load()
        assert (await org.state("Contact")).state == "live"
        org.advance(3_600)
    assert await org.equal("Contact") == 30


async def test_what_is_only_masked_is_said_before_and_after(stand: Standing) -> None:
    """`rtsd check` tells what the next start does, status and journal what this one did; nothing is read."""
    org = await (await stand({"Contact": 30, "Account": 5})).loaded()
    org.advance(60)
    org.update("Contact", org.ids("Contact")[:3], Phone="CANARY-8")
    org.advance(60)
    await org.read()
    assert (await check.inspect(org.configuration())).privacy == {}
    org.objects = {"Contact": {"privacy": {"Phone": "hash", "Title": "drop"}}, "Account": {}}
    rules = "hashed: Phone; left out: Title"
    for running in (True, False):
        if not running:
            await org.stop()
        files = sorted(path.name for path in org.place.glob("mirror.db*"))
        report = await check.inspect(org.configuration())
        told = report.privacy["Contact"]
        assert told.startswith(f"{rules}. The next start rewrites rows, ")
        assert told.endswith("Nothing is read again.")
        assert report.document()["privacy"] == [{"object": "Contact", "message": told}]
        assert sorted(path.name for path in org.place.glob("mirror.db*")) == files
    read, before = await org.rows_read(), await org.calls()
    await org.start()
    status = await org.parts.views.status()
    (change,) = status.privacy
    (noted,) = [event for event in await org.journal("schema") if "privacy" in (event.message or "")]
    assert (change.object, change.message) == ("Contact", noted.message)
    done = rf"everything stored: {rules}\. Rewritten: \d+ rows, \d+ journal entries\. Nothing is read again\."
    assert re.search(done, change.message)
    assert {mirrored.state for mirrored in status.objects} == {"live"}
    await org.load()
    assert (await org.state("Contact")).state == "live"
    assert await org.rows_read() - read <= 10, "windows and counts, no rows"
    assert (await org.calls() - before)["bulk_create"] == 0
    await org.restart(org.objects)
    assert (await org.parts.views.status()).privacy == [], "it is said of this start"


@on_every_channel
async def test_excluded_fields_never_get_in(stand: Standing, channel: str) -> None:
    """Not by pushes either, which carry every field."""
    options = {"Contact": {"exclude": ["Phone"]}}
    org = await (await stand({"Contact": 5}, objects=options, channel=channel)).loaded()
    await connect(org, "Contact")
    org.advance(60)
    org.update("Contact", org.ids("Contact"), LastName=SEEN, Phone="CANARY-7")
    await org.pushed()
    assert SEEN.encode() in _stored(org)
    assert b"CANARY" not in _stored(org)


async def test_stored_integers_stay(stand: Standing) -> None:
    """Those of the layout of Heroku Connect, which rows of users refer to, also where others are gone."""
    org = await stand({"Contact": 40}, objects={"Contact": {}})
    place = f"hc_{sha256(str(org.place).encode()).hexdigest()[:8]}"
    org.more = f'[store.views]\nheroku_connect = "{place}"\n'
    await org.loaded()
    org.org.delete(org.org.admin, "Contact", org.ids("Contact")[::3])
    org.advance(60)
    await org.read()
    view = f"{place}{'.' if ENGINE == 'postgres' else '_'}contact"
    shown = f"SELECT id, sfid FROM {view} ORDER BY sfid"
    before = [(row[0], row[1]) for row in org.sql(shown)]
    assert max(number for number, _ in before) > len(before) > 20
    await org.restart({"Contact": {"privacy": {"Phone": "drop"}}})
    assert [(row[0], row[1]) for row in org.sql(shown)] == before


@sqlite_only("free pages of the file")
async def test_too_little_space_is_said_and_repeated(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values are masked all the same; free pages are erased by the next start that can."""
    org = await _spread(stand)

    async def full(_database: Database, _statement: str) -> str:
        return "database or disk is full"

    with monkeypatch.context() as broken:
        broken.setattr(indexes, "run_alone", full)
        await org.restart({"Contact": RULES[0]})
    said = [event.message or "" for event in await org.journal("error")]
    assert any("could not be erased" in message for message in said)
    shown = (await org.parts.views.status()).privacy
    assert [(change.object, "could not be erased" in change.message) for change in shown] == [
        ("Contact", False),
        (None, True),
    ]
    assert org.sql("SELECT COUNT(*) FROM Contact WHERE Phone LIKE 'CANARY%'")[0][0] == 0
    await org.restart({"Contact": RULES[0]})
    assert b"CANARY" not in _stored(org)


@postgres_only("row versions that VACUUM removes")
async def test_former_values_that_somebody_reads_are_said_and_repeated(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction from before the change keeps them in the table; a start after its end removes them."""
    from rtsd.store.postgres import vacuum
    from tests.support.postgres import PostgresMirror

    org = await _spread(stand)
    mirror = org.mirror
    assert isinstance(mirror, PostgresMirror)
    with mirror.connected() as reader, monkeypatch.context() as impatient:
        impatient.setattr(vacuum, "TRIES", 1)
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM Contact")
        await org.restart({"Contact": RULES[0]})
        ((seen,),) = reader.execute("SELECT COUNT(*) FROM Contact WHERE Phone LIKE 'CANARY%'").fetchall()
        assert seen > 0
    (said,) = [event.message or "" for event in await org.journal("error")]
    assert "former values could not be removed" in said
    assert f"{mirror.schema}.contact" in said
    assert b"CANARY" in mirror.former("contact")
    await org.restart({"Contact": RULES[0]})
    assert (await org.parts.views.status()).privacy == []
    for table in ("contact", "_rts_journal", "_rts_tombstone"):
        assert b"CANARY" not in mirror.former(table)
