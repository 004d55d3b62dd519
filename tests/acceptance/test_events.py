"""`rtsd events`: the newest entries, chosen by kind, object and time, with the values of changes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rtsd.cli import main
from rtsd.core.instant import to_iso
from tests.support.inprocess.channels import connect
from tests.support.inprocess.stand import Stand, Standing


class Printed:
    """What `rtsd events` prints."""

    def __init__(self, org: Stand, capsys: pytest.CaptureFixture[str]) -> None:
        self._org = org
        self._capsys = capsys

    async def lines(self, *words: str) -> list[str]:
        """The lines."""
        self._capsys.readouterr()
        command = ["events", *words, "--socket", str(self._org.place / "rtsd.sock")]
        status = await asyncio.to_thread(main, command)
        said = self._capsys.readouterr()
        assert status == 0, said.err
        return said.out.splitlines()

    async def documents(self, *words: str) -> list[dict[str, Any]]:
        """The entries as JSON."""
        return [json.loads(line) for line in await self.lines(*words, "--json")]


async def test_entries_are_chosen_among_all(stand: Standing, capsys: pytest.CaptureFixture[str]) -> None:
    """What each option leaves is what the whole journal has of it, oldest first."""
    org = await (await stand({"Lead": 10, "Account": 5}, channel="gateway")).loaded()
    await connect(org, "Lead", "Account")
    printed, moments = Printed(org, capsys), []
    for round_ in range(3):
        org.advance(60)
        moments.append(to_iso(org.parts.base.machine.wall()))
        org.update("Lead", org.ids("Lead")[:4], Company=f"round {round_}")
        org.update("Account", org.ids("Account")[:2], Name=f"round {round_}")
        await org.pushed()
    everything = await printed.documents("--after", "0")
    assert len(everything) > 20
    assert await printed.documents() == everything[-100:]
    assert await printed.documents("--last", "3") == everything[-3:]
    changes = [entry for entry in everything if entry["type"] == "change"]
    others = [entry for entry in everything if entry["type"] in ("audit", "schema")]
    assert len(changes) == 18
    assert others
    assert await printed.documents("--kind", "change") == changes
    assert await printed.documents("--kind", "audit", "--kind", "schema", "--last", "2") == others[-2:]
    leads = [entry for entry in changes if entry["object"] == "Lead"]
    assert await printed.documents("--kind", "change", "--object", "lead", "--last", "5") == leads[-5:]
    middle = [entry for entry in everything if moments[1] <= entry["at"] <= moments[2]]
    assert await printed.documents("--since", moments[1], "--until", moments[2]) == middle
    assert (
        await printed.documents("--until", moments[2], "--last", "4")
        == [entry for entry in everything if entry["at"] <= moments[2]][-4:]
    )
    assert await printed.documents("--since", to_iso(org.parts.base.machine.wall() + 1_000)) == []


async def test_changes_as_cloudevents_are_chosen_alike(
    stand: Standing, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last ones, and those of a time, are the same documents as among all."""
    org = await (await stand({"Lead": 10}, channel="gateway")).loaded()
    await connect(org, "Lead")
    printed, moments = Printed(org, capsys), []
    for round_ in range(3):
        org.advance(60)
        moments.append(to_iso(org.parts.base.machine.wall()))
        org.update("Lead", org.ids("Lead")[:4], Company=f"round {round_}")
        await org.pushed()
    form = ("--format", "cloudevents")
    everything = await printed.lines(*form, "--after", "0")
    assert len(everything) == 12
    assert await printed.lines(*form) == everything
    assert await printed.lines(*form, "--last", "5") == everything[-5:]
    assert await printed.lines(*form, "--since", moments[1], "--until", moments[2]) == everything[4:8]
    assert await printed.lines(*form, "--until", moments[1], "--last", "3") == everything[1:4]
    assert await printed.lines(*form, "--since", moments[2]) == everything[8:]


async def test_values_of_changes_are_shown(stand: Standing, capsys: pytest.CaptureFixture[str]) -> None:
    """Before and after, on lines and in JSON; a hashed field is hashed here, too."""
    objects = {"Lead": {"privacy": {"Phone": "hash"}}}
    org = await (await stand({"Lead": 5}, objects=objects, channel="gateway")).loaded()
    await connect(org, "Lead")
    record, printed = org.ids("Lead")[0], Printed(org, capsys)
    ((company,),) = org.sql("SELECT Company FROM Lead WHERE Id=?", record)
    org.advance(60)
    org.update("Lead", [record], Company="after", Phone="+49 30 1234567")
    await org.pushed()
    (line,) = await printed.lines("--kind", "change")
    assert f"Company: {company} → after" in line
    assert "Phone: " in line
    assert "1234567" not in line
    ((hashed,),) = org.sql("SELECT Phone FROM Lead WHERE Id=?", record)
    (entry,) = await printed.documents("--kind", "change")
    assert entry["values"]["changed"]["Company"] == {"from": company, "to": "after"}
    assert entry["values"]["changed"]["Phone"]["to"] == hashed
    assert entry["id"] == record
