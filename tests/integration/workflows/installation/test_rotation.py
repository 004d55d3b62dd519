"""`rtsd package rotate-token`: two tokens are good while one is replaced, and never none."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from rtsd import config
from rtsd.core.signature import key_id
from rtsd.errors import ConfigError, Conflict
from rtsd.machine import wall_ms
from rtsd.workflows.installation import rotation
from rtsd.workflows.installation.rotation import OVERLAP_MS, Rotated
from tests.support.installation import Office


def tokens(office: Office) -> list[str]:
    """What the gateway accepts."""
    return (office.place / "push-token").read_text().split()


def in_org(office: Office) -> str:
    """What the org signs with."""
    ((token,),) = office.select("SELECT Token__c FROM RTS_Settings__c")
    return str(token)


async def rotate(office: Office, *, finish: bool = False, later_ms: int = 0) -> Rotated:
    """`rtsd package rotate-token [--finish]`."""
    settings = config.load(office.place / "rtsd.toml")
    async with office.session(settings) as (session, plan):
        step = rotation.finish if finish else rotation.begin
        return await step(session.client, plan, settings, wall_ms() + later_ms)


async def test_both_tokens_are_accepted_until_the_rotation_is_finished(office: Office) -> None:
    """Added, switched; a second rotation and an early end are refused; a day later the old one goes."""
    await office.deploy()
    done = await rotate(office)
    old, new = tokens(office)
    assert (old, in_org(office), done.token_id) == (office.token, new, key_id(new.encode()))
    assert stat.S_IMODE((office.place / "push-token").stat().st_mode) == 0o600
    assert (await office.status(config.load(office.place / "rtsd.toml"))).differences == []
    with pytest.raises(Conflict, match="in progress"):
        await rotate(office)
    with pytest.raises(Conflict, match="less than a day"):
        await rotate(office, finish=True, later_ms=OVERLAP_MS - 60_000)
    assert tokens(office) == [old, new]
    done = await rotate(office, finish=True, later_ms=OVERLAP_MS)
    assert (tokens(office), done.dropped) == ([new], [key_id(old.encode())])
    assert (await rotate(office, finish=True)).dropped == []


async def test_an_interrupted_rotation_is_taken_up(office: Office) -> None:
    """The token was added and the org not switched: the same token is switched to, no third one is made."""
    await office.deploy()
    (office.place / "push-token").write_text(f"{office.token}\nthe-second-one-0123456789\n")
    await rotate(office)
    assert tokens(office) == [office.token, "the-second-one-0123456789"]
    assert in_org(office) == "the-second-one-0123456789"


async def test_the_token_file_stays_readable_for_whom_it_was(office: Office) -> None:
    """Its group may go on reading it: the daemon may be another user than who rotates."""
    await office.deploy()
    (office.place / "push-token").chmod(0o640)
    await rotate(office)
    assert stat.S_IMODE((office.place / "push-token").stat().st_mode) == 0o640
    assert not list(office.place.glob(".*.new"))


async def test_a_token_in_the_configuration_itself_is_not_rotated(office: Office) -> None:
    """There is no file to write; the message says what to do."""
    await office.deploy()
    path = office.place / "rtsd.toml"
    path.write_text(path.read_text().replace('token_file = "push-token"', f'token = "{office.token}"'))
    with pytest.raises(ConfigError, match="token_file"):
        await rotate(office)


async def test_an_org_with_another_token_is_put_right_first(office: Office) -> None:
    """Rotating on top of a mismatch would hide it."""
    await office.deploy()
    await office.sim.control("package/settings", {"Token__c": "leaked and replaced by hand"})
    with pytest.raises(Conflict, match="rtsd package deploy"):
        await rotate(office)
    assert tokens(office) == [office.token]


@asynccontextmanager
async def a_daemon_that_accepts(office: Office, *tokens: str) -> AsyncIterator[None]:
    """A control socket whose daemon has these tokens, whatever the file says: credentials are copies."""

    async def reload(_request: web.Request) -> web.Response:
        ids = [key_id(token.encode()) for token in tokens]
        return web.json_response({"needs_restart": [], "token_ids": ids})

    async def changed(_request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.add_routes([web.post("/v1/reload", reload), web.post("/v1/package/changed", changed)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(office.place / "rtsd.sock")).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_the_org_is_not_switched_before_the_daemon_accepts(office: Office) -> None:
    """A daemon with copies of the secrets has to be restarted; then the same command goes on."""
    await office.deploy()
    async with a_daemon_that_accepts(office, office.token):
        with pytest.raises(Conflict, match="Restart rtsd"):
            await rotate(office)
    assert in_org(office) == office.token
    both = tokens(office)
    assert len(both) == 2
    async with a_daemon_that_accepts(office, *both):
        assert (await rotate(office)).daemon
    assert in_org(office) == both[1]
    async with a_daemon_that_accepts(office, *both):
        with pytest.raises(Conflict, match="still accepts the old"):
            await rotate(office, finish=True, later_ms=OVERLAP_MS)
    assert tokens(office) == [both[1]]
