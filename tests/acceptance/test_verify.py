"""`rtsd verify`: file, counts, stored values and fingerprint; what it certifies can be checked."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rtsd.cli import main
from rtsd.config.engine import engine_of
from rtsd.control.protocol import DriftCounts, Verification
from rtsd.core.certificate import is_intact
from tests.support.inprocess.stand import Stand, Standing
from tests.support.mirror import ENGINE, sqlite_only


async def verify(org: Stand, *, certify: bool = False) -> Verification:
    """Verify over the control socket."""
    async with org.client() as client:
        return await client.verify(certify=certify)


async def flip(org: Stand, text: str) -> None:
    """Flip one bit of a stored value, in the file itself if there is one, while the daemon is down."""
    if ENGINE == "postgres":
        flipped = chr(ord(text[0]) ^ 1) + text[1:]
        change = "UPDATE Lead SET Description=replace(Description, ?, ?)"
        await org.sabotage(change, text, flipped)
        return
    await org.stop()
    file = org.place / "mirror.db"
    stored = file.read_bytes()
    place = stored.index(text.encode())
    file.write_bytes(stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :])
    await org.start()


async def test_a_sound_mirror_is_called_right(stand: Standing) -> None:
    """Nothing wrong: ok, every row checksummed from the second time on, one call per object."""
    org = await (await stand({"Lead": 300, "Account": 50})).loaded()
    org.advance(3_600)
    first = await verify(org)
    assert first.ok
    before = await org.calls()
    second = await verify(org)
    assert second.ok
    assert await org.cost(before) == 2
    assert [
        (verified.name, verified.rows, verified.counted, verified.checksummed) for verified in second.objects
    ] == [
        ("Lead", 300, 300, 300),
        ("Account", 50, 50, 50),
    ]
    assert second.faults == []
    assert await org.equal("Lead") == 300


async def test_how_far_it_is_can_be_asked(stand: Standing) -> None:
    """The object and its rows so far, which grow; nothing when it is over."""
    org = await (await stand({"Lead": 20_000})).loaded()
    seen: list[int] = []
    async with org.client() as client:
        verifying = asyncio.create_task(verify(org))
        while not verifying.done():
            if now := (await client.audits()).verification:
                assert now.object == "Lead"
                seen.append(now.rows_checked)
        assert (await verifying).ok
        assert (await client.audits()).verification is None
    assert seen == sorted(seen)
    assert len(set(seen)) > 1


async def test_a_flipped_bit_is_found_and_repaired(stand: Standing) -> None:
    """One bit in a row that nobody wrote: the row is named, fetched from the org, and right again."""
    org = await (await stand({"Lead": 200})).loaded()
    marked = org.ids("Lead")[77]
    org.advance(60)
    org.update("Lead", [marked], Description="a value that nobody else has, long enough to find")
    org.advance(60)
    await org.read()
    await verify(org)
    await flip(org, "a value that nobody else has")
    org.advance(60)
    (wrong,) = org.sql("SELECT Description FROM Lead WHERE Id=?", marked)
    assert wrong["Description"].startswith("` value")
    found = await verify(org)
    (lead,) = found.objects
    assert lead.broken == [marked]
    assert lead.repaired == 1
    assert await org.equal("Lead") == 200
    assert [event.detail for event in await org.journal("drift")] == [{"broken": [marked]}]
    found = await verify(org)
    assert found.ok
    assert found.objects[0].broken == []


def damage(inbox: Path) -> None:
    """Store a row that its table does not allow: nothing but the check of the file finds it."""
    change = "UPDATE sqlite_schema SET sql=replace(sql, ?, ?) WHERE name='_rts_push_id'"
    strict, loose = "webhook_id TEXT NOT NULL", "webhook_id TEXT"
    with closing(sqlite3.connect(inbox, isolation_level=None)) as file:
        file.execute("PRAGMA writable_schema=ON")
        file.execute(change, (strict, loose))
        file.execute("PRAGMA writable_schema=RESET")
        file.execute("INSERT INTO _rts_push_id VALUES (NULL, 0)")
        file.execute("PRAGMA writable_schema=ON")
        file.execute(change, (loose, strict))


@sqlite_only("the inbox's own file")
async def test_a_damaged_inbox_is_found(stand: Standing) -> None:
    """The file is checked as the mirror's is, and the finding names it."""
    org = await (await stand({"Lead": 20})).loaded()
    org.advance(3_600)
    await org.stop()
    damage(org.place / "mirror.db.inbox")
    await org.start()
    found = await verify(org)
    assert not found.ok
    assert found.faults == ["inbox: NULL value in _rts_push_id.webhook_id"]


async def test_what_is_written_is_not_called_broken(stand: Standing) -> None:
    """Updates, deletions, formulas and new columns between two verifications are no flipped bits."""
    org = await (await stand({"Account": 60, "Contact": 60})).loaded()
    await verify(org)
    org.advance(60)
    org.update("Contact", org.ids("Contact")[:20], Title="written")
    org.update("Account", org.ids("Account")[:30], Tier__c="Gold")
    org.org.delete(org.org.admin, "Contact", org.ids("Contact")[40:45])
    region = {"name": "Region__c", "type": "string", "length": 40}
    await org.simulated.control("schema", {"op": "add_field", "object": "Contact", "field": region})
    org.advance(3_601)
    await org.parts.readers.describer.step()
    assert (await verify(org)).objects[1].broken == []
    await org.load()
    await org.read()
    for mirrored in org.parts.base.catalog:
        await org.parts.readers.columns.refresh(mirrored)
    for _ in range(2):
        found = await verify(org)
        assert [verified.broken for verified in found.objects] == [[], []]
        assert found.ok
    assert await org.equal("Contact") == 55


async def test_counts_that_do_not_fit_are_said(stand: Standing) -> None:
    """A row lost from the file: found by the fingerprint, repaired; the counts show that it is so."""
    org = await (await stand({"Lead": 100})).loaded()
    org.advance(3_600)
    await org.sabotage("DELETE FROM Lead WHERE Id=?", org.ids("Lead")[3])
    found = await verify(org)
    (lead,) = found.objects
    assert lead.drift == DriftCounts(missing=1)
    assert lead.rows == 100
    assert lead.counted == 101
    assert not found.ok
    found = await verify(org)
    assert found.ok
    assert found.objects[0].counted == 100


async def test_rows_that_are_gone_or_renamed_are_named(stand: Standing) -> None:
    """Nothing wrote them: the last row is gone, another has an Id that the org does not have."""
    org = await (await stand({"Lead": 100})).loaded()
    org.advance(3_600)
    assert (await verify(org)).ok
    ids = org.ids("Lead")
    bogus = ids[7][:-4] + "ZAAA"
    await org.sabotage("DELETE FROM Lead WHERE Id IN (?, ?)", ids[3], ids[-1])
    await org.sabotage("UPDATE Lead SET Id=? WHERE Id=?", bogus, ids[7])
    found = await verify(org)
    (lead,) = found.objects
    assert sorted(lead.broken) == sorted([ids[3], ids[-1], ids[7], bogus])
    assert (lead.repaired, lead.rows, lead.counted) == (4, 100, 100)
    assert await org.equal("Lead") == 100
    assert (await verify(org)).ok
    org.org.delete(org.org.admin, "Lead", [ids[0], ids[50]])
    await org.read()
    found = await verify(org)
    assert (found.ok, found.objects[0].broken) == (True, []), "what rtsd deleted is not missed"


async def test_a_certificate_can_be_checked(
    stand: Standing, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is signed by a key that only its owner can read; whatever is changed in it shows."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    org = await (await stand({"Lead": 100})).loaded()
    org.advance(3_600)
    path = org.place / "mirror.cert.json"
    words = ["verify", "--socket", str(org.place / "rtsd.sock"), "--certificate", str(path)]
    assert await asyncio.to_thread(main, words) == 0
    key = engine_of(org.configuration()).key_file
    assert key.stat().st_mode & 0o777 == 0o600
    stated = json.loads(path.read_text())
    assert is_intact(stated)
    (lead,) = stated["objects"]
    assert (lead["rows"], lead["state"], stated["org"]) == (100, "live", org.org.org_id)
    assert len(lead["fingerprint"]) == 64
    assert await asyncio.to_thread(main, ["verify", "--check", str(path)]) == 0
    lead["rows"] = 101
    path.write_text(json.dumps(stated))
    assert await asyncio.to_thread(main, ["verify", "--check", str(path)]) == 1
    assert "do not trust it" in capsys.readouterr().out
