"""The control API as the contract words it, on a real socket."""

from __future__ import annotations

import os
import socket as sockets
import stat
from pathlib import Path
from typing import Any

import pytest

from rtsd.control import access
from rtsd.core.object_state import ObjectState
from rtsd.errors import AddressInUse
from tests.support import mirror
from tests.support.inprocess.control import Socket
from tests.support.inprocess.rig import Rig, Start

# Contract section 5, key by key; None stands for any value.
STATUS: dict[str, Any] = {
    "version": str,
    "protocol": 1,
    "started_at": str,
    "now": str,
    "org": {
        "id": str,
        "name": "Acme",
        "instance_url": str,
        "sandbox": bool,
        "edition": str,
        "apex": True,
        "user": str,
    },
    "gateway": {"listen": str, "public_url": "https://rts.example.com"},
    "mode": "real_time",
    "mode_since": str,
    "mode_reason": "push received",
    "package": {"state": "installed", "version": "1.0.0", "disabled": False, "last_seen_at": str},
    "push": {
        "last_at": str,
        "last_heartbeat_at": str,
        "quiet": "live",
        "quiet_proof": str,
        "received_24h": int,
        "rejected_24h": 0,
        "missed_24h": int,
    },
    "objects": [
        {
            "name": "Contact",
            "state": "live",
            "rows": 6,
            "expected_rows": int,
            "progress": 1.0,
            "as_of": str,
            "freshness_ms": {"p50": int, "p95": int, "p99": int},
            "drift": dict | None,
            "error": None,
        }
    ],
    "quota": {
        "limits": [
            {
                "name": str,
                "max": int,
                "remaining": int,
                "used_by_us": int,
                "used_by_others": int,
                "exhausted_at": str | None,
            }
        ],
        "calls_24h": {"audit": int, "describe": int},
    },
    "inbox": {"pending": 0},
    "dead_letters": 0,
    "errors_24h": 0,
    "storage": "ok",
    "store": {"reachable": True, "engine": str, "place": str, "bytes": int, "id": str},
}


def fits(found: Any, wanted: Any, place: str = "status") -> list[str]:
    """Where `found` is not of the contract's shape; more keys are allowed."""
    if isinstance(wanted, dict):
        missing = [f"{place}.{key} is missing" for key in wanted if key not in found]
        return missing + [
            line for key in wanted if key in found for line in fits(found[key], wanted[key], f"{place}.{key}")
        ]
    if isinstance(wanted, list):
        if not found:
            return [f"{place} is empty"]
        return [line for element in found for line in fits(element, wanted[0], place)]
    if isinstance(wanted, type) or hasattr(wanted, "__args__"):
        return [] if isinstance(found, wanted) else [f"{place} is {found!r}"]
    return (
        [] if found == wanted and type(found) is type(wanted) else [f"{place} is {found!r}, not {wanted!r}"]
    )


async def test_status_is_shaped_as_the_contract_says(socket: Socket) -> None:
    """Every key, with its type, and the values that are known here."""
    rig = socket.rig
    await rig.install_package()
    await rig.dml("create", "Contact", rows=[{"LastName": "x"}])
    await rig.settle()
    await rig.sim.control("package/heartbeat")
    await rig.settle()
    status, found = await socket.ask("GET", "/v1/status")
    assert status == 200
    assert fits(found, STATUS) == []
    assert found["org"]["id"] == rig.org.org_id
    assert found["gateway"]["listen"] == rig.gateway.removeprefix("http://")
    assert found["store"]["engine"] == {"sqlite": "sqlite", "postgres": "postgresql"}[mirror.ENGINE]
    assert found["store"]["bytes"] > 10_000


async def test_the_socket_is_for_owner_and_group(socket: Socket) -> None:
    """0660 from the moment it exists."""
    path = socket.rig.place / "rtsd.sock"
    mode = os.stat(path).st_mode  # noqa: PTH116
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


ERRORS: list[tuple[str, str, Any, int]] = [
    ("GET", "/", None, 404),
    ("GET", "/v1/nothing", None, 404),
    ("POST", "/v1/status", None, 405),
    ("GET", "/v1/events?after=x", None, 400),
    ("GET", "/v1/events?limit=1.5", None, 400),
    ("GET", "/v1/events?object=Spaceship", None, 404),
    ("GET", "/v1/objects/Contact/records/12", None, 400),
    ("GET", "/v1/objects/Contact/records/003000000000001AAA", None, 404),
    ("GET", "/v1/objects/Spaceship/records/003000000000001AAA", None, 404),
    ("POST", "/v1/objects/Spaceship/audit", {}, 404),
    ("POST", "/v1/objects/Contact/audit", b"{", 400),
    ("POST", "/v1/objects/Contact/audit", b"[" * 100_000, 400),
    ("POST", "/v1/objects/Contact/audit", {"full": "yes"}, 400),
    ("POST", "/v1/objects/Contact/repair", {}, 400),
    ("POST", "/v1/objects/Contact/repair", {"ids": ["12"]}, 400),
    ("POST", "/v1/objects/Contact/repair", {"fields": ["No_such_field__c"]}, 400),
    ("POST", "/v1/objects/Contact/repair", {"since": "yesterday"}, 400),
    ("POST", "/v1/objects/Contact/repair", {"since": "2026-03-01T10:00:00Z", "fields": ["Email"]}, 400),
    (
        "POST",
        "/v1/objects/Contact/repair",
        {"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
        400,
    ),
    ("POST", "/v1/pause", {"objects": ["Spaceship"]}, 404),
    ("GET", "/v1/dead-letters/7", None, 404),
    ("POST", "/v1/dead-letters/7/retry", None, 404),
    ("POST", "/v1/dead-letters/7/drop", None, 404),
    ("POST", "/v1/dead-letters/x/drop", None, 400),
    ("GET", f"/v1/dead-letters/{10**30}", None, 404),
]


async def test_every_refusal_has_the_same_shape(socket: Socket) -> None:
    """`{"error", "message"}` with a fitting status, never a traceback."""
    wrong = []
    for method, path, body, status in ERRORS:
        found, answer = await socket.ask(method, path, body)
        if (found, sorted(answer)) != (status, ["error", "message"]) or not answer["message"]:
            wrong.append((method, path, found, answer))
        assert "Traceback" not in str(answer)
    assert wrong == []


async def test_a_misspelt_name_is_answered_with_the_one_that_is_meant(socket: Socket) -> None:
    """An object in a query and in a path, and a field, as the org spells them."""
    _, feed = await socket.ask("GET", "/v1/events?object=contct")
    _, audit = await socket.ask("POST", "/v1/objects/Contat/audit", {})
    _, repair = await socket.ask("POST", "/v1/objects/Contact/repair", {"fields": ["lastnme"]})
    assert "Did you mean Contact?" in feed["message"]
    assert "Did you mean Contact?" in audit["message"]
    assert "Did you mean LastName?" in repair["message"]


async def test_numbers_beyond_sqlite_are_no_crash(socket: Socket) -> None:
    """After everything there ever will be, nothing comes."""
    assert await socket.lines(f"/v1/events?after={10**30}") == []


async def test_a_record_and_its_tombstone(socket: Socket) -> None:
    """Live with its values, by either length of id; deleted with its last ones."""
    rig = socket.rig
    record = await rig.a_record("Contact")
    for name in (record, record[:15]):
        status, found = await socket.ask("GET", f"/v1/objects/contact/records/{name}")
        assert (status, found["state"], found["id"]) == (200, "live", record)
        assert found["values"]["Id"] == record
    rig.advance(30)
    await rig.dml("delete", "Contact", ids=[record])
    await rig.parts.readers.windows.step(rig["Contact"])
    _, found = await socket.ask("GET", f"/v1/objects/Contact/records/{record}")
    assert (found["state"], found["values"]["Id"]) == ("deleted", record)


async def buried(rig: Rig) -> int:
    """Push an unknown object, and return the dead letter's id."""
    change = {"object": "Spaceship__c", "op": "create", "id": "a00000000000001AAA", "fields": {"Name": "x"}}
    await rig.push(rig.changes(change))
    await rig.parts.services.realtime.apply_batch()
    ((found,),) = await rig.rows("SELECT id FROM _rts_dead_letter")
    return int(found)


async def test_a_dead_letter_is_shown_retried_and_dropped(socket: Socket) -> None:
    """With its reason and document; a retry that fails again is one letter, not two."""
    letter = await buried(socket.rig)
    _, listed = await socket.ask("GET", "/v1/dead-letters")
    (entry,) = listed["dead_letters"]
    wanted = {"id": letter, "reason": "UnknownObject", "object": "Spaceship__c", "attempts": 1}
    assert {key: entry[key] for key in wanted} == wanted
    _, shown = await socket.ask("GET", f"/v1/dead-letters/{letter}")
    assert shown["push"]["changes"][0]["fields"] == {"Name": "x"}
    assert (await socket.ask("POST", f"/v1/dead-letters/{letter}/retry"))[0] == 200
    await socket.rig.parts.services.realtime.apply_batch()
    _, listed = await socket.ask("GET", "/v1/dead-letters")
    (again,) = listed["dead_letters"]
    assert (again["id"], again["attempts"]) == (letter, 2)
    assert (entry["tried_at"], again["at"]) == (None, entry["at"]), "the time of the loss stays"
    assert again["tried_at"] >= entry["at"]
    said = [note.message or "" for note in await socket.rig.notes("dead_letter")]
    assert any("is tried again" in text for text in said)
    assert not any("retried" in text for text in said)
    assert (await socket.ask("POST", f"/v1/dead-letters/{again['id']}/drop"))[0] == 200
    assert (await socket.ask("GET", "/v1/dead-letters"))[1] == {"dead_letters": []}
    assert (await socket.ask("GET", "/v1/status"))[1]["dead_letters"] == 0


async def test_a_retried_dead_letter_goes_once_it_is_applied(socket: Socket) -> None:
    """Asked for twice it is tried once; until it has been applied it is there, and then it is not."""
    rig = socket.rig
    letter = await buried(rig)
    async with rig.parts.base.database.transaction() as tx:
        ((body,),) = await tx.fetch("SELECT body FROM _rts_dead_letter WHERE id=?", (letter,))
        changed = body.replace(b"Spaceship__c", b"Contact")
        await tx.execute("UPDATE _rts_dead_letter SET body=? WHERE id=?", (changed, letter))
    for _ in range(2):
        assert (await socket.ask("POST", f"/v1/dead-letters/{letter}/retry"))[0] == 200
    (listed,) = (await socket.ask("GET", "/v1/dead-letters"))[1]["dead_letters"]
    assert (listed["id"], listed["attempts"]) == (letter, 1)
    assert await rig.parts.services.realtime.apply_batch() == 1
    assert (await socket.ask("GET", "/v1/dead-letters"))[1] == {"dead_letters": []}
    assert (await socket.ask("GET", "/v1/status"))[1]["dead_letters"] == 0


async def test_repair_fetches_and_says_what_it_did(socket: Socket) -> None:
    """One call for the ids; what differed is counted."""
    rig = socket.rig
    record = await rig.a_record("Contact")
    rig.advance(30)
    await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": "changed"}])
    status, found = await socket.ask("POST", "/v1/objects/Contact/repair", {"ids": [record[:15]]})
    assert (status, found["fetched"], found["repaired"], found["api_calls"]) == (200, 1, 1, 1)
    assert await rig.differences() == []


async def test_an_audit_answers_at_once_or_when_it_is_done(socket: Socket) -> None:
    """202 with a run; `wait=1` with the findings, key by key; a dry run only prices it."""
    rig = socket.rig
    record = await rig.a_record("Contact")
    rig.advance(30)
    await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": "changed"}])
    _, price = await socket.ask("POST", "/v1/objects/Contact/audit", {"dry_run": True})
    keys = {"rows", "api_calls", "bulk_jobs", "mb", "minutes", "share_of_daily"}
    assert (keys <= set(price["estimate"]), price["estimate"]["rows"], price["problems"]) == (True, 5, [])
    status, found = await socket.ask("POST", "/v1/objects/Contact/audit?wait=1", {"full": True})
    assert status == 200
    (audited,) = found["objects"]
    named = {
        "name",
        "checked",
        "missing",
        "stale",
        "orphaned",
        "repaired",
        "api_calls",
        "bulk_jobs",
        "seconds",
    }
    counts = {"missing_count", "stale_count", "orphaned_count"}
    assert named | counts <= set(audited)
    assert (audited["name"], audited["checked"], audited["stale"], audited["stale_count"]) == (
        "Contact",
        5,
        [record],
        1,
    )
    assert found["api_calls"] == audited["api_calls"] > 0
    status, found = await socket.ask("POST", "/v1/objects/Contact/audit", {})
    assert (status, list(found)) == (202, ["run"])
    assert rig["Contact"].state is ObjectState.LIVE


async def test_the_findings_of_audits_are_listed_newest_first(socket: Socket) -> None:
    """What an audit found stays to be read, however many changes came since; changes are not among it."""
    rig = socket.rig
    record = await rig.a_record("Contact")
    rig.advance(30)
    await rig.dml("update", "Contact", rows=[{"Id": record, "LastName": "changed"}])
    await socket.ask("POST", "/v1/objects/Contact/audit?wait=1", {"full": True})
    status, found = await socket.ask("GET", "/v1/audits")
    assert (status, found["running"]) == (200, [])
    numbers = [finding["seq"] for finding in found["findings"]]
    assert numbers == sorted(numbers, reverse=True)
    assert {finding["type"] for finding in found["findings"]} <= {"audit", "drift", "repair"}
    assert any("state audit begins" in finding["message"] for finding in found["findings"])


async def test_why_can_leave_the_org_out(socket: Socket) -> None:
    """Looking is free: without the org's answer no call is spent, and equality is not claimed."""
    rig = socket.rig
    record = await rig.a_record("Contact")
    path = f"/v1/objects/Contact/records/{record}/why"
    before = (await socket.ask("GET", "/v1/status"))[1]["quota"]["calls_24h"]
    _, found = await socket.ask("GET", f"{path}?org=0")
    assert (found["org"], found["equal"], found["mirror"]["state"]) == (None, None, "live")
    assert (await socket.ask("GET", "/v1/status"))[1]["quota"]["calls_24h"] == before
    _, found = await socket.ask("GET", path)
    assert found["equal"] is True


async def test_pause_and_resume_are_idempotent(socket: Socket) -> None:
    """Twice is as good as once, for all and for one object."""
    for _ in range(2):
        assert (await socket.ask("POST", "/v1/pause"))[0] == 200
        assert (await socket.ask("GET", "/v1/status"))[1]["mode"] == "paused"
    for _ in range(2):
        assert (await socket.ask("POST", "/v1/resume", {}))[0] == 200
        assert (await socket.ask("GET", "/v1/status"))[1]["mode"] == "interval"
    await socket.ask("POST", "/v1/pause", {"objects": ["contact"]})
    assert (await socket.ask("GET", "/v1/status"))[1]["objects"][0]["state"] == "paused"
    await socket.ask("POST", "/v1/resume", {"objects": ["Contact"]})
    assert (await socket.ask("GET", "/v1/status"))[1]["objects"][0]["state"] == "pending", "not proven yet"
    socket.rig.advance(62)  # the delete log goes by minutes
    await socket.rig.load()
    assert (await socket.ask("GET", "/v1/status"))[1]["objects"][0]["state"] == "live"


async def test_errors_and_quota_history(socket: Socket) -> None:
    """What was refused is in the log, counted; what was spent is in the history, by hour and purpose."""
    await socket.rig.push(b"{}")
    _, found = await socket.ask("GET", "/v1/errors")
    assert [(error["error"], error["count"]) for error in found["errors"]] == [("MalformedPush", 1)]
    _, found = await socket.ask("GET", "/v1/quota/history")
    assert {hour["purpose"] for hour in found["hours"]} >= {"audit", "describe"}
    ours = [hour["used"] for hour in found["ours"] if hour["name"] == "DailyApiRequests"]
    assert sum(ours) == sum(hour["calls"] for hour in found["hours"])
    # Four objects: each is described every hour, and asked for its fingerprint every six.
    _, status = await socket.ask("GET", "/v1/status")
    objects, priced = len(status["objects"]), status["quota"]["idle_day"]
    assert priced["interval"] > priced["real_time"] >= objects * (24 + 4)
    assert priced == found["idle_day"]


async def test_a_second_instance_leaves_the_first_ones_socket(start: Start) -> None:
    """It is told that somebody answers there, and the first one still does."""
    rig = await start({"Contact": 0})

    path = rig.place / "rtsd.sock"
    before = os.stat(path).st_ino  # noqa: PTH116
    with pytest.raises(AddressInUse, match="another rtsd answers"):
        access.listen(path)
    assert os.stat(path).st_ino == before  # noqa: PTH116


def listen(path: Path) -> None:
    """Listen and stop at once."""
    access.listen(path).close()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """Nobody answers on it: a kill left it behind."""
    path = tmp_path / "rtsd.sock"
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(path))
    listen(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    """`[control] socket` may be a typing mistake: nobody's file is deleted for it."""
    path = tmp_path / "notes.txt"
    path.write_text("dear diary")
    with pytest.raises(AddressInUse, match="not a socket"):
        listen(path)
    assert path.read_text() == "dear diary"


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    """A path too long for a socket, and a directory that is a file."""
    with pytest.raises(AddressInUse, match="too long"):
        listen(tmp_path / ("x" * 120))
    (tmp_path / "file").write_text("")
    with pytest.raises(AddressInUse, match=r"directory|exists"):
        listen(tmp_path / "file" / "rtsd.sock")
