"""SIGHUP: what can change while running is taken up, and a mistake changes nothing."""

from __future__ import annotations

import signal

import aiohttp
import pytest

from rtsd.core.signature import key_id
from rtsd.errors import ConfigError
from tests.support.processes.rig import TOKEN, Rig, standing
from tests.support.processes.sender import signed
from tests.support.waiting import eventually

NEW_TOKEN = "canary-rotated-token-0123456789ab"


async def _status(rig: Rig, token: str, webhook_id: str) -> int:
    """Send a heartbeat signed with `token`; return the gateway's answer."""
    org = rig.org.info["org_id"]
    shot = signed(token, webhook_id, f'{{"v":1,"kind":"heartbeat","org":"{org}"}}'.encode())
    head, _, body = shot.request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    async with (
        aiohttp.ClientSession() as http,
        http.post(rig.push_url, data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_a_rotated_token_is_taken_up_and_a_mistake_is_not() -> None:
    """Both tokens are good during a rotation; a broken configuration leaves the running one as it is."""
    async with standing({"Account": 3}) as rig:
        daemon = await rig.start()
        assert await _status(rig, NEW_TOKEN, "before") == 401

        rig.secret("push-token", f"{TOKEN}\n{NEW_TOKEN}")
        daemon.process.send_signal(signal.SIGHUP)
        await eventually(lambda: '"event": "reloaded"' in rig.log.read_text(), "the reload is logged")
        assert await _status(rig, NEW_TOKEN, "new") == 200
        assert await _status(rig, TOKEN, "old") == 200

        rig.config.write_text(rig.config.read_text() + "\nnonsense = 1\n")
        daemon.process.send_signal(signal.SIGHUP)
        await eventually(lambda: '"event": "not reloaded"' in rig.log.read_text(), "the refusal is logged")
        assert await _status(rig, NEW_TOKEN, "still") == 200
        assert NEW_TOKEN not in rig.log.read_text()


async def test_a_reload_can_be_asked_for_and_says_what_it_did() -> None:
    """`POST /v1/reload`: the tokens by their ids, what needs a restart, and a mistake as an error."""
    async with standing({"Account": 3}) as rig:
        daemon = await rig.start()
        rig.secret("push-token", f"{TOKEN}\n{NEW_TOKEN}")
        rig.config.write_text(rig.config.read_text() + '[[objects]]\nname = "Lead"\n')
        answer = await daemon.client.reload()
        assert answer.token_ids == [key_id(token.encode()) for token in (TOKEN, NEW_TOKEN)]
        assert answer.needs_restart == (await daemon.client.status()).needs_restart == ["objects"]
        assert await _status(rig, NEW_TOKEN, "new") == 200
        rig.config.write_text(rig.config.read_text() + "\nnonsense = 1\n")
        with pytest.raises(ConfigError):
            await daemon.client.reload()
        assert await _status(rig, NEW_TOKEN, "still") == 200
