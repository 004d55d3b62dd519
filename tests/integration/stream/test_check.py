"""`rtsd check` of the channel `stream`: whether rtsd could subscribe, before it has to."""

from __future__ import annotations

from pathlib import Path

from rtsd import config
from rtsd.config import Config
from rtsd.workflows.check import inspect
from rtssim.process import SimulatedOrg

TOML = """
[org]
login_url = "{url}"
client_id = "{client_id}"
client_secret = "{client_secret}"
[gateway]
listen = ""
[push]
channel = "stream"
token = "0123456789abcdef"
endpoint = "{endpoint}"
[store]
path = "{place}/mirror.db"
[[objects]]
name = "Contact"
"""


def configured(org: SimulatedOrg, place: Path, endpoint: str = "") -> Config:
    """A configuration of the channel."""
    path = place / "rtsd.toml"
    named = {name: org.info[name] for name in ("url", "client_id", "client_secret")}
    path.write_text(TOML.format(endpoint=endpoint or org.info["pubsub"], place=place, **named))
    path.chmod(0o600)
    return config.load(path)


async def problems(chosen: Config) -> list[str]:
    """What the check finds about the Pub/Sub API, with what to do."""
    report = await inspect(chosen)
    return [f"{problem.what} {problem.do}" for problem in report.problems if "Pub/Sub" in problem.what]


async def test_a_package_that_publishes(org: SimulatedOrg, tmp_path: Path) -> None:
    """Without its event that is the problem; with it there is none."""
    (problem,) = await problems(configured(org, tmp_path))
    assert "does not serve /event/RTS_Push__e" in problem
    assert "rtsd package deploy" in problem
    await org.control("package/install", {"channel": "stream", "settings": {"Token__c": "x"}})
    assert await problems(configured(org, tmp_path)) == []


async def test_an_address_where_nobody_is(org: SimulatedOrg, tmp_path: Path) -> None:
    """It names the keys to look at."""
    (problem,) = await problems(configured(org, tmp_path, "http://127.0.0.1:1"))
    assert "Check [push] endpoint" in problem
