"""The action log: who changed what through the control socket, what it cost, how it ended."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from pathlib import Path
from typing import Any

import pytest

import rtsd.control
from rtsd.control.actions import ACTIONS
from rtsd.control.client import ControlClient
from rtsd.control.protocol import Retried
from rtsd.errors import NotFound, UsageError
from tests.support.inprocess.control import NOBODY, Socket, ask_as, open_to_all

READING = {
    ("POST", "/v1/query"),
    ("POST", "/v1/rules/{name}/test"),
    ("POST", "/v1/assistant"),
    ("POST", "/v1/package/changed"),
}
"""Requests that change nothing, or tell of what was done elsewhere: the journal has entries of its own."""

ME = pwd.getpwuid(os.geteuid()).pw_name


async def listed(socket: Socket) -> list[dict[str, Any]]:
    """The log as the dashboard gets it, oldest first."""
    status, shown = await socket.ask("GET", "/v1/actions")
    assert status == 200
    actions: list[dict[str, Any]] = shown["actions"]
    return actions[::-1]


def program(socket: Socket, name: str) -> ControlClient:
    """A client that says which program it is."""
    return ControlClient(socket.rig.place / "rtsd.sock", program=name)


def test_every_request_that_changes_something_is_in_the_log() -> None:
    """A new route has to be an action, or be named here as one that changes nothing."""
    home = Path(rtsd.control.__file__).parent
    found = {
        (method.upper(), path)
        for file in home.glob("*.py")
        for method, path in re.findall(r'web\.(post|put|patch|delete)\("([^"]+)"', file.read_text())
    }
    assert found == set(ACTIONS) | READING


async def test_who_paused_what_by_which_program(socket: Socket) -> None:
    """The user is the kernel's word, the program the client's; the journal has it for every follower."""
    async with program(socket, "rtstui") as client:
        await client.pause(["contact"])
        await client.resume()
    paused, resumed = await listed(socket)
    assert paused["message"] == f"{ME} paused Contact"
    assert (paused["type"], paused["object"], paused["outcome"]) == ("action", "Contact", "done")
    detail = {"action": "pause", "what": "paused Contact", "by": ME, "program": "rtstui"}
    assert paused["detail"] == detail | {"objects": ["Contact"]}
    assert resumed["message"] == f"{ME} resumed the whole sync"
    assert resumed.get("object") is None
    journal = await socket.lines("/v1/events")
    assert [entry for entry in journal if entry["type"] == "action"] == [paused, resumed]


async def test_looking_and_pricing_are_no_actions(socket: Socket) -> None:
    """Nothing changed, so nothing is journalled."""
    async with program(socket, "rtsd") as client:
        await client.query("SELECT 1")
        await client.price_audit("Contact")
        await client.price_repair("Contact", [await socket.rig.a_record("Contact")])
        await client.price_verification()
    assert await listed(socket) == []


async def test_what_it_cost(socket: Socket) -> None:
    """By the answer if that says so, else by the calls made for this action alone."""
    record = await socket.rig.a_record("Contact")
    await socket.rig.install_package()
    async with program(socket, "rtsd") as client:
        await client.package(probe=True)
        await client.repair("Contact", [record])
        before = await socket.rig.calls()
        await client.set_conditions("Contact", ["Email"])
    spent = sum((await socket.rig.calls()).values()) - sum(before.values())
    repaired, conditions = await listed(socket)
    assert repaired["message"] == f"{ME} repaired Contact {record}"
    assert (repaired["id"], repaired["detail"]["api_calls"]) == (record, 1)
    assert (repaired["detail"]["fetched"], repaired["detail"]["repaired"]) == (1, 0)
    assert conditions["message"] == f"{ME} set the sync conditions of Contact to Email"
    assert (conditions["detail"]["before"], conditions["detail"]["after"]) == ([], ["Email"])
    assert conditions["detail"]["api_calls"] == spent > 1


async def test_what_goes_on_says_so(socket: Socket) -> None:
    """An audit that is not waited for is only begun."""
    async with program(socket, "rtsd") as client:
        run = (await client.start_audit("Contact", full=True)).run
    (begun,) = await listed(socket)
    assert begun["message"] == f"{ME} began to audit every row of Contact"
    assert (begun["outcome"], begun["detail"]["run"]) == ("running", run)


async def test_a_retry_tells_how_it_ended(socket: Socket) -> None:
    """Applied, failed again with the reason and the next step, or begun: no retry is green that failed."""
    rig = socket.rig
    change = {"object": "Spaceship__c", "op": "create", "id": "a00000000000001AAA", "fields": {"Name": "Zoë"}}
    await rig.push(rig.changes(change))
    await rig.parts.services.realtime.apply_batch()
    ((letter,),) = await rig.rows("SELECT id FROM _rts_dead_letter")

    async def retried(client: ControlClient) -> Retried:
        """Retry it, and let the push be applied as soon as it is queued."""
        asked = asyncio.create_task(client.retry(letter, wait=True))
        while not await rig.parts.services.realtime.apply_batch():
            if asked.done():
                break
            await asyncio.sleep(0)
        return await asked

    async with program(socket, "rtstui") as client:
        failed = await retried(client)
        assert (await client.retry(letter)).outcome == "waiting"
        await rig.parts.services.realtime.apply_batch()
        async with rig.parts.base.database.transaction() as tx:
            ((body,),) = await tx.fetch("SELECT body FROM _rts_dead_letter WHERE id=?", (letter,))
            changed = body.replace(b"Spaceship__c", b"Contact")
            await tx.execute("UPDATE _rts_dead_letter SET body=? WHERE id=?", (changed, letter))
        applied = await retried(client)
    assert (failed.outcome, failed.error, failed.reason) == (
        "failed",
        "UnknownObject",
        "Spaceship__c is not mirrored",
    )
    assert "[[objects]]" in (failed.do or "")
    assert applied.outcome == "applied"
    first, begun, last = await listed(socket)
    again = "it failed again: Spaceship__c is not mirrored"
    assert (first["outcome"], first["message"]) == ("failed", f"{ME} retried dead letter {letter}; {again}")
    assert first["detail"]["reason"] == "Spaceship__c is not mirrored"
    assert (begun["outcome"], begun["message"]) == ("running", f"{ME} began to retry dead letter {letter}")
    assert (last["outcome"], last["detail"]["ended"]) == ("done", "applied")
    assert "Zoë" not in str([first, begun, last])


async def test_a_refusal_has_its_reason_and_no_value(socket: Socket) -> None:
    """What was given in place of an id may be anybody's address."""
    async with program(socket, "rtsd") as client:
        with pytest.raises(NotFound):
            await client.drop(77)
        with pytest.raises(UsageError):
            await client.repair("Contact", ["canary@example.com"])
    dropped, repaired = await listed(socket)
    assert (dropped["outcome"], dropped["detail"]["error"]) == ("refused", "NotFound")
    assert f"{ME} could not drop dead letter 77: no dead letter 77" in dropped["message"]
    assert repaired["detail"]["error"] == "UsageError"
    assert "canary" not in str(repaired)


async def test_a_flood_of_refusals_leaves_room(socket: Socket) -> None:
    """A program that repeats its mistake is journalled at a rate that retention bears."""
    for number in range(100):
        assert (await socket.ask("POST", f"/v1/dead-letters/{number + 1}/drop"))[0] == 404
    assert len(await listed(socket)) == 30
    assert (await socket.ask("POST", "/v1/pause", {"objects": []}))[0] == 200
    assert len(await listed(socket)) == 31
    socket.rig.advance(61)
    assert (await socket.ask("POST", "/v1/dead-letters/1/drop"))[0] == 404
    assert len(await listed(socket)) == 32


async def test_nobody_acts_in_anothers_name(socket: Socket) -> None:
    """Another process that claims to forward for somebody is named itself."""
    code = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(b'POST /v1/pause HTTP/1.1\\r\\nHost: rtsd\\r\\nRtsd-User: mallory\\r\\n'\n"
        "          b'Connection: close\\r\\n\\r\\n'); s.recv(65536)\n"
    )
    path = str(socket.rig.place / "rtsd.sock")
    other = await asyncio.create_subprocess_exec("python3", "-c", code, path)
    assert await other.wait() == 0
    assert [entry["detail"]["by"] for entry in await listed(socket)] == [ME]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_a_user_without_a_name_is_a_number(socket: Socket) -> None:
    """A container's user often has none. Whoever is not let in leaves no entry."""
    request = b"POST /v1/pause HTTP/1.1\r\nHost: rtsd\r\nConnection: close\r\n\r\n"
    with open_to_all(socket.rig.place / "rtsd.sock") as path:
        assert (await ask_as(path, request, user=54_321)).startswith(b"HTTP/1.1 200")
        assert (await ask_as(path, request, group=NOBODY)).startswith(b"HTTP/1.1 403")
    assert [entry["message"] for entry in await listed(socket)] == ["uid 54321 paused the whole sync"]
