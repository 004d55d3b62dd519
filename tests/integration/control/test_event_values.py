"""The values of the changes that a screen shows: what they replaced and brought, bounded, and masked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from rtsd.control.event_values import AHEAD, LONGEST, MOST, MOST_FIELDS
from tests.support.inprocess.control import Socket
from tests.support.inprocess.rig import Start


async def changes(socket: Socket) -> list[dict[str, Any]]:
    """The changes of the journal, oldest first."""
    return [event for event in await socket.lines("/v1/events") if event["type"] == "change"]


async def values(socket: Socket, seqs: Sequence[int]) -> list[dict[str, Any]]:
    """The answer about these entries."""
    status, found = await socket.ask("GET", f"/v1/events/values?seq={','.join(map(str, seqs))}")
    assert status == 200, found
    return list(found["values"])


async def edited(socket: Socket, record: str, **fields: object) -> None:
    """One edit in the org, pushed and applied."""
    socket.rig.advance(30)
    await socket.rig.dml("update", "Contact", rows=[{"Id": record, **fields}])
    await socket.rig.settle()


async def test_each_change_has_its_own_values(socket: Socket) -> None:
    """Also one that was overwritten since: what it brought is what the next one replaced."""
    rig = socket.rig
    await rig.install_package()
    record = await rig.a_record("Contact")
    await edited(socket, record, Title="first", LastName="Silva", FirstName="Ana")
    await edited(socket, record, Title="second")
    await edited(socket, record, Phone="+351 1")
    await edited(socket, record, Title=None)
    seqs = [change["seq"] for change in await changes(socket)]
    found = await values(socket, seqs)
    assert [each["seq"] for each in found] == seqs
    titles = [each["changed"].get("Title") for each in found]
    assert [title and title["to"] for title in titles] == ["first", "second", None, None]
    assert [title and title["from"] for title in titles][1:] == ["first", None, "second"]
    assert found[2]["changed"] == {"Phone": {"from": found[2]["changed"]["Phone"]["from"], "to": "+351 1"}}
    assert {each["name"] for each in found} == {"Ana Silva"}
    assert all(each["by"].startswith("005") for each in found)


async def test_a_deletion_and_a_creation_have_a_name(socket: Socket) -> None:
    """A deletion names what is gone; a creation has no earlier values."""
    rig = socket.rig
    await rig.install_package()
    rig.advance(30)
    (record,) = await rig.dml("create", "Contact", rows=[{"LastName": "Silva", "FirstName": "Ana"}])
    await rig.settle()
    await edited(socket, record, LastName="Costa")
    rig.advance(30)
    await rig.dml("delete", "Contact", ids=[record])
    await rig.settle()
    created, renamed, deleted = await values(socket, [each["seq"] for each in await changes(socket)])
    assert (created["name"], created.get("changed")) == ("Ana Costa", None)
    assert renamed["changed"]["LastName"] == {"from": "Silva", "to": "Costa"}
    assert (deleted["name"], deleted.get("changed")) == ("Ana Costa", None)


async def test_an_answer_is_bounded(socket: Socket) -> None:
    """Long texts are cut, many fields counted, and many later changes not searched: unknown is not null."""
    rig = socket.rig
    await rig.install_package()
    record = await rig.a_record("Contact")
    await edited(socket, record, Description="x" * 5_000, Title="once")
    await edited(socket, record, Description="y")
    for number in range(AHEAD):
        await edited(socket, record, Phone=str(number))
    first, second, *_ = await changes(socket)
    long, short = await values(socket, [first["seq"], second["seq"]])
    assert long["changed"]["Description"]["to"] == "x" * (LONGEST - 1) + "…"
    assert "to" not in long["changed"]["Title"], "it is not known: the search ends before the present"
    assert "to" not in short["changed"]["Description"]
    many = {f"Mailing{part}": part for part in ("City", "Country", "PostalCode", "State", "Street")}
    many |= {name.replace("Mailing", "Other"): text for name, text in many.items()}
    await edited(socket, record, **many, Title="twice", Department="D")
    (wide,) = await values(socket, [(await changes(socket))[-1]["seq"]])
    assert len(wide["changed"]) + wide["more"] == 12
    assert len(wide["changed"]) == MOST_FIELDS
    assert len(json.dumps(wide)) < 4_000


async def test_what_is_no_applied_change_is_left_out(socket: Socket) -> None:
    """Numbers of other entries, or of none; too many, or none at all, are refused."""
    assert await values(socket, [1, 999_999]) == []
    for query in ("", "?seq=", "?seq=x", "?seq=" + ",".join(["1"] * (MOST + 1))):
        status, refusal = await socket.ask("GET", f"/v1/events/values{query}")
        assert (status, refusal["error"]) == (400, "UsageError")


PRIVACY = (
    '[[objects]]\nname = "Contact"\nexclude = ["Department"]\n'
    '[objects.privacy]\nPhone = "hash"\nEmail = "last4"\nTitle = "drop"\n'
)


@asynccontextmanager
async def private(start: Start) -> AsyncIterator[Socket]:
    """A mirror with a hashed, a shortened, a dropped and an excluded field."""
    rig = await start({"Contact": 3, "Lead": 0}, objects=("Lead",), more=PRIVACY)
    await rig.load()
    connector = aiohttp.UnixConnector(str(rig.place / "rtsd.sock"))
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Socket(rig, http)


async def test_privacy_rules_hold(start: Start) -> None:
    """Neither the value before nor the one after is there in the clear, nor one that is not mirrored."""
    async with private(start) as socket:
        await socket.rig.install_package()
        record = await socket.rig.a_record("Contact")
        secrets = ("PRIVATE-ONE", "PRIVATE-TWO")
        for secret in secrets:
            await edited(
                socket,
                record,
                Phone=secret,
                Email=f"{secret}@canary.example",
                Title=secret,
                Department=secret,
                LastName=secret.lower(),
            )
        found = await values(socket, [each["seq"] for each in await changes(socket)])
        said = json.dumps(found)
        assert found[-1]["changed"]["LastName"] == {"from": "private-one", "to": "private-two"}
        hashes = found[-1]["changed"]["Phone"]
        assert len({hashes["from"], hashes["to"]}) == 2
        assert not [secret for secret in secrets if secret in said]
        assert "Department" not in said
