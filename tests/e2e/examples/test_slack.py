"""examples/slack: a rule fires the real command, which posts to a server in Slack's place."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rtsd.rules import command
from rtsd.rules.rule import Command
from tests.support.processes.command import said
from tests.support.processes.example import EXAMPLES
from tests.support.processes.rig import standing
from tests.support.serving import served
from tests.support.waiting import eventually

SCRIPT = EXAMPLES / "slack" / "post_to_slack.py"
HOSTILE = "<!channel> & <https://evil.example|Ada>\n*bold*\u202e"
HARMLESS = "&lt;!channel&gt; &amp; &lt;https://evil.example|Ada&gt; *bold*"


@dataclass
class Slack:
    """Takes messages."""

    url: str = ""
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Take one."""
        self.messages.append(await request.json())
        return web.Response(status=self.status, headers={"Location": "/services/T0/B0/elsewhere"}, text="ok")


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    """A server on a port of its own."""
    made = Slack()
    async with served(made.take, "POST", "/services/{tail:.*}") as url:
        made.url = f"{url}/services/T0/B0/secret-part"
        yield made


async def test_a_rule_posts_and_hostile_values_stay_text(slack: Slack) -> None:
    """A lead that somebody named after a mention, a link and a second line is shown as that text."""
    async with standing({"Lead": 2}) as rig:
        rig.secret("slack-url", slack.url)
        argv = json.dumps([str(SCRIPT), str(rig.place / "slack-url")])
        rule = (
            f'[[rules]]\nname = "leads"\nobject = "Lead"\non = ["create"]\n[rules.command]\nargv = {argv}\n'
        )
        rig.config.write_text(rig.config.read_text() + rule)
        daemon = await rig.start()
        await daemon.live()
        await rig.install_package()
        (lead,) = await rig.org.dml("create", "Lead", rows=[{"LastName": "x" * 80, "Company": HOSTILE}])
        await eventually(lambda: slack.messages, "the message is posted")
        (message,) = slack.messages
        lines = message["text"].splitlines()
        assert lines[0] == f"leads: Lead {lead}, create"
        assert f"Company: {HARMLESS}" in lines
        assert message["mrkdwn"] is message["unfurl_links"] is message["link_names"] is False

        async def delivered() -> bool:
            (rule,) = (await daemon.client.rules()).rules
            return (rule.delivered_24h, rule.pending) == (1, 0)

        await eventually(delivered, "rtsd counts it as delivered")
        assert "secret-part" not in await said(rig.socket, "rules")


ALERT = {"v": 1, "alert": "silent", "message": "no push for 30 min", "object": None, "resolved": False}


async def run(url_file: Path, document: dict[str, Any] | None = None) -> tuple[str, str]:
    """Run the command as rtsd does; return what came of it, and why."""
    body = json.dumps(document or ALERT).encode()
    done = await command.run(Command((str(SCRIPT), str(url_file)), 20_000), "rts_1", body)
    return done.outcome, done.reason


async def test_alerts_and_what_goes_wrong(slack: Slack, tmp_path: Path) -> None:
    """An alert and its end are told apart; refusals fail with a reason that has neither URL nor value."""
    path = tmp_path / "slack-url"
    path.write_text(f"{slack.url}\n")
    assert (await run(path))[0] == "delivered"
    assert (await run(path, {**ALERT, "resolved": True}))[0] == "delivered"
    began, ended = (message["text"] for message in slack.messages)
    assert began == ":rotating_light: silent: no push for 30 min"
    assert ended.startswith(":white_check_mark: silent")
    for status in (302, 404, 429, 500):
        slack.status = status
        outcome, reason = await run(path)
        assert outcome == "failed"
        assert f"Slack answers {status}" in reason
        assert "secret-part" not in reason
    assert len(slack.messages) == 6, "a redirect was followed"
    path.write_text("http://hooks.example.com/services/T0/B0/secret-part")
    assert await run(path) == ("failed", "exit 1: the URL must begin with https://")
    path.write_text("http://127.0.0.1:9/services/T0/B0/secret-part")
    assert (await run(path))[1] == "exit 1: no answer from Slack: ConnectionRefusedError"
    assert "cannot read" in (await run(tmp_path / "nowhere"))[1]
