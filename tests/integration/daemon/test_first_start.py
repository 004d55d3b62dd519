"""What the org answers at the first start and later: passing refusals are waited out, none ends rtsd."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.inprocess.rig import Start


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("query_timeout", "/query"),
        ("503", "/query"),
        ("odd", "/query"),
        ("token_error", ""),
        ("query_timeout", "userinfo"),
    ],
)
async def test_a_passing_refusal_is_waited_out(start: Start, kind: str, path: str) -> None:
    """The first question of all, who the org is, is asked again until it is answered."""
    rig = await start({"Contact": 1}, run=False)
    await rig.sim.fault(kind, path=path, count=7)
    async with rig.running() as parts:
        assert parts.base.org.id == rig.sim.info["org_id"]


async def test_a_hidden_organization_is_no_hindrance(start: Start) -> None:
    """The login names the org as well; what else the record tells stays unknown."""
    rig = await start({"Contact": 1}, run=False)
    await rig.sim.fault("no_access", path="/query")
    async with rig.running() as parts:
        assert parts.base.org.id == rig.sim.info["org_id"]
        assert parts.base.org.facts.name is None


ODD: tuple[dict[str, Any], ...] = (
    {"body": ""},
    {"body": "null"},
    {"body": "[]"},
    {"body": "{}"},
    {"body": '{"records": null, "totalSize": "x", "done": 1}'},
    {"body": '{"records": [{}], "totalSize": 1, "done": true}'},
)


@pytest.mark.parametrize("odd", ODD)
async def test_no_odd_answer_ends_the_daemon(start: Start, odd: dict[str, Any]) -> None:
    """Whatever every call is answered with: each service refuses it and goes on, and then all is well."""
    rig = await start({"Contact": 3})
    await rig.load()
    await rig.install_package()
    await rig.heartbeat()
    await rig.sim.fault("odd", path="/services/data", **odd)
    for _ in range(3):
        rig.advance(25 * 3600)
        for service in rig.parts.services:
            if service is not rig.parts.services.inbox and service is not rig.parts.services.realtime:
                await rig.parts.runner.step(service)
    assert rig.sim.server is not None
    rig.sim.server.faults.remove()
    rig.advance(3600)
    await rig.load()
    assert await rig.differences() == []
