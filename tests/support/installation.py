"""An org, and the configuration of an rtsd that does not run: `rtsd package` needs no daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rtsd import config
from rtsd.config import Config
from rtsd.salesforce.deploy import Progress
from rtsd.workflows.installation import plan as plans
from rtsd.workflows.installation.deploying import Deploying, Outcome
from rtsd.workflows.installation.org_session import OrgSession, org_session
from rtsd.workflows.installation.plan import NO_CHOICE, Choice, Plan
from rtsd.workflows.installation.removing import Removed, remove
from rtsd.workflows.installation.reports import InstallationReport, report
from rtssim.org import Org
from rtssim.process import SimulatedOrg

TOKEN = "push-token-of-the-tests-0001"

TOML = """
[org]
login_url = "{url}"
client_id = "{client_id}"
client_secret = "{client_secret}"
[gateway]
listen = "{listen}"
public_url = "{public_url}"
token_file = "push-token"
[push]
{push}
[store]
path = "mirror.db"
[control]
socket = "rtsd.sock"
{more}
"""
OBJECTS = '[[objects]]\nname = "Contact"\nconditions = ["Email"]\n[[objects]]\nname = "Invoice__c"\n'


async def _no_pause(_seconds: float) -> None:
    """Looks come at once."""
    await asyncio.sleep(0)


@dataclass
class Office:
    """The org and the configuration; each step has its own session, as each command has."""

    sim: SimulatedOrg
    org: Org
    place: Path
    token: str = TOKEN
    said: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    no_pause: Callable[[float], Awaitable[None]] = _no_pause

    def configuration(
        self,
        objects: str = OBJECTS,
        *,
        listen: str = "127.0.0.1:0",
        public_url: str = "http://127.0.0.1:9",
        push: str = "",
    ) -> Config:
        """Write and load the configuration; `push` are lines of `[push]`."""
        token = self.place / "push-token"
        if not token.exists():
            token.touch(mode=0o600)
            token.write_text(TOKEN + "\n")
        path = self.place / "rtsd.toml"
        path.touch(mode=0o600)
        named = {name: self.sim.info[name] for name in ("url", "client_id", "client_secret")}
        path.write_text(TOML.format(listen=listen, public_url=public_url, push=push, more=objects, **named))
        return config.load(path)

    @asynccontextmanager
    async def session(
        self, settings: Config | None = None, *, pushes: bool = True, choice: Choice = NO_CHOICE
    ) -> AsyncIterator[tuple[OrgSession, Plan]]:
        """Connect, and make the plan."""
        settings = settings or self.configuration()
        async with org_session(settings) as session:
            session.client.exchange.retrier.sleep = self.no_pause
            yield session, await plans.make(session.client, settings, pushes=pushes, choice=choice)

    async def deploy(self, settings: Config | None = None, choice: Choice = NO_CHOICE) -> Outcome:
        """`rtsd package deploy`."""
        async with self.session(settings, choice=choice) as (session, plan):
            return await Deploying(
                session.client, plan, plan.tests(), self.said.append, self.progress.append
            ).run()

    async def remove(
        self, settings: Config | None = None, *, run_test: str = "", local: bool = False
    ) -> Removed:
        """`rtsd package remove`."""
        async with self.session(settings, pushes=False) as (session, plan):
            tests = plan.removal_tests((run_test,) if run_test else (), local=local)
            return await remove(
                session.client, plan, tests, report=self.said.append, on_progress=self.progress.append
            )

    async def status(self, settings: Config | None = None) -> InstallationReport:
        """`rtsd package status`."""
        async with self.session(settings) as (session, plan):
            return await report(session.client, plan)

    async def calls(self) -> dict[str, int]:
        """API calls by kind, as the org counted them."""
        return dict((await self.sim.stats())["calls"])

    def select(self, soql: str) -> list[tuple[object, ...]]:
        """Query the org as its administrator."""
        return list(self.org.query(self.org.admin, soql).rows())

    def become(self, edition: str) -> None:
        """Turn the org into another edition."""
        self.org.database.execute("UPDATE Organization SET OrganizationType = ?", [edition])
