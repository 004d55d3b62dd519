"""One record explained: what touched it, what it was, and what the org says now."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import NamedTuple

import pytest

from rtsd.cli import main
from tests.support.inprocess.channels import connect, lose_pushes, on_every_channel
from tests.support.inprocess.stand import Stand, Standing


class Said(NamedTuple):
    """What a command line came to."""

    status: int
    out: str


Rtsd = Callable[..., Awaitable[Said]]


@pytest.fixture
def rtsd(capsys: pytest.CaptureFixture[str]) -> Rtsd:
    """Run `rtsd` against a stand's socket, in a thread: the daemon answers in this one."""

    async def run(org: Stand, *words: str) -> Said:
        capsys.readouterr()
        status = await asyncio.to_thread(main, [*words, "--socket", str(org.place / "rtsd.sock")])
        return Said(status, capsys.readouterr().out)

    return run


async def test_ac_04_why_explains_and_repair_fixes(stand: Standing, rtsd: Rtsd) -> None:
    """A record that is wrong: `why` shows the field and both values, `repair` mends it with one call."""
    org = await (await stand({"Lead": 20})).loaded()
    org.advance(60)
    record = org.ids("Lead")[4]
    await org.sabotage("UPDATE Lead SET Company = 'wrong' WHERE Id = ?", record)
    said = await rtsd(org, "why", "Lead", record[:15])
    assert said.status == 1
    assert "they differ" in said.out
    (line,) = [line for line in said.out.splitlines() if line.startswith("Company")]
    assert "wrong" in line
    before = await org.calls()
    async with org.client() as client:
        answer = await client.repair("Lead", [record])
    assert answer.repaired == 1
    assert await org.cost(before) == 1
    said = await rtsd(org, "why", "Lead", record)
    assert said.status == 0
    assert "verdict  equal" in said.out
    assert "repair" in said.out
    assert await org.equal("Lead") == 20


async def test_ac_43_why_says_that_it_may_be_out_of_sight(stand: Standing, rtsd: Rtsd) -> None:
    """What the sync user cannot see does not exist for him: said so, and nothing is taken for deleted."""
    org = await (await stand({"Lead": 20})).loaded()
    record = org.ids("Lead")[4]
    await org.simulated.control("visibility", {"hidden_records": [record]})
    said = await rtsd(org, "why", "Lead", record)
    assert said.status == 1
    assert "may not see it" in said.out


@on_every_channel
async def test_history_names_each_source(stand: Standing, rtsd: Rtsd, channel: str) -> None:
    """Values by time, each with the source that brought it; `--at` shows the record as it was then."""
    org = await (await stand({"Lead": 5}, channel=channel)).loaded()
    await connect(org, "Lead")
    record = org.ids("Lead")[0]
    company = next(row["Company"] for row in org.sql("SELECT Company FROM Lead WHERE Id=?", record))
    moments = []
    org.advance(60)
    org.update("Lead", [record], Company="by push")
    await org.pushed()
    moments.append(org.parts.base.machine.wall())
    org.advance(600)
    await lose_pushes(org)
    org.update("Lead", [record], Company="by window")
    org.advance(60)
    await org.read()
    moments.append(org.parts.base.machine.wall())
    org.advance(7_200)
    org.update("Lead", [record], Company="by fingerprint")
    org.advance(300)
    await org.audit("Lead")
    said = await rtsd(org, "history", "Lead", record, "--json")
    versions = json.loads(said.out)["versions"]
    assert [version["source"] for version in versions] == ["push", "interval", "repair"]
    said = await rtsd(org, "history", "Lead", record)
    assert said.status == 0
    for old, new in pairwise((company, "by push", "by window", "by fingerprint")):
        assert f"Company: {old} → {new}" in said.out
    from rtsd.core.instant import to_iso

    for moment, value in zip(moments, ("by push", "by window"), strict=True):
        said = await rtsd(org, "history", "Lead", record, "--at", to_iso(moment))
        assert said.status == 0
        assert [line.split(None, 1)[1] for line in said.out.splitlines() if line.startswith("Company ")] == [
            value
        ]
    said = await rtsd(org, "history", "Lead", record, "--at", "soon")
    assert said.status == 2
