"""`rtsd package`: the Salesforce package, into the org and out of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from rtsd import config, logs
from rtsd.cli import options
from rtsd.cli.groups import Group
from rtsd.cli.package_lines import report_lines
from rtsd.core.plural import plural
from rtsd.machine import monotonic_ms, wall_ms

if TYPE_CHECKING:
    from rtsd.config import Config
    from rtsd.salesforce.deploy import Progress
    from rtsd.workflows.installation.org_session import OrgSession
    from rtsd.workflows.installation.plan import Choice, Plan

T = TypeVar("T")

ONLY_THE_TEST = "ApexClass RTS_Removal_Test"
TEST_IS_LEFT = (
    "It names nothing and does nothing. Tests of the org fail, so Salesforce does not let it go yet:\n"
    "rtsd package remove --run-test CLASS, with a test of the org that passes, deletes it."
)
PROGRESS_MS = 1_000
"""The shortest time between two progress lines."""

_RUN_TEST = click.option(
    "--run-test",
    "run_tests",
    multiple=True,
    metavar="CLASS",
    help="Run this Apex test with the deployment; repeatable.",
)
_USER = click.option(
    "--user",
    default="",
    metavar="USERNAME",
    help="The daemon's user, if the configuration logs in another one.",
)
_WITHOUT = click.option(
    "--without",
    multiple=True,
    metavar="OBJECT",
    help="Give this object no trigger: Interval Sync reads it. The org remembers it; repeatable.",
)
_WITH = click.option(
    "--with",
    "restored",
    multiple=True,
    metavar="OBJECT",
    help="Give a trigger to an object that was left out; repeatable.",
)
_LOCAL_TESTS = click.option("--local-tests", is_flag=True, help="Run every test of the org itself.")


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog=options.examples(
        "rtsd package deploy -c rtsd.toml",
        "rtsd package status --json | jq .differences",
        "rtsd package export ./salesforce",
        "rtsd package rotate-token",
    ),
)
@options.config
@options.as_json
@click.pass_context
def package(ctx: click.Context, *, config_path: Path | None, as_json: bool) -> int:
    """Deploy the package to the org, compare it, switch it, remove it.

    Talks to Salesforce directly, with the login of the configuration, also if no daemon runs; a running
    daemon is notified at once. Without a verb: status.
    """
    return _status(config_path, as_json=as_json) if ctx.invoked_subcommand is None else 0


@package.command(epilog=options.examples("rtsd package export ./salesforce", "sf project deploy start"))
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@options.config
@_WITHOUT
def export(*, directory: Path, config_path: Path | None, without: tuple[str, ...]) -> None:
    """Write the package as a Salesforce DX project, for another tool to deploy or to remove.

    Needs no login: every object of the configuration gets a trigger, and objects for which Salesforce
    runs no triggers have to be left out (--without). DIR may contain an earlier export, and nothing else.
    """
    settings = _load(config_path)
    from rtsd.workflows.installation.exporting import export as write  # noqa: PLC0415 - imports late, mistakes early

    written = write(settings, directory, without)
    files = plural(written, "file")
    click.echo(f"{files} in {directory}; README.md and REMOVE.md there have the steps.")


@package.command(
    epilog=options.examples(
        "rtsd package deploy", "rtsd package deploy --local-tests", "rtsd package deploy --without Task"
    )
)
@options.config
@_USER
@_WITHOUT
@_WITH
@_RUN_TEST
@_LOCAL_TESTS
@options.as_json
def deploy(
    *,
    config_path: Path | None,
    user: str,
    without: tuple[str, ...],
    restored: tuple[str, ...],
    run_tests: Sequence[str],
    local_tests: bool,
    as_json: bool,
) -> int:
    """Make the org's package match the configuration.

    Compares first, and changes only differences: validates the deployment, deploys, then writes settings,
    sync conditions, the permission set's assignment and the heartbeat's jobs. A second run changes
    nothing. Production runs the package's own tests, or those that you name. If the org's rules let no
    test save an object, which production then refuses, leave its trigger out (--without).
    """
    settings = _load(config_path)
    from rtsd.workflows.installation.deploying import Deploying  # noqa: PLC0415 - as above
    from rtsd.workflows.installation.plan import Choice  # noqa: PLC0415 - as above

    async def work(session: OrgSession, plan: Plan) -> int:
        tests = plan.tests(tuple(run_tests), local=local_tests)
        outcome = await Deploying(session.client, plan, tests, _say, _ProgressPrinter().show).run()
        left = [f"{difference.part}: {difference.what}" for difference in outcome.left]
        _warn(outcome.warnings, plan)
        if as_json:
            document = {"done": outcome.done, "warnings": outcome.warnings, "left": left}
            click.echo(msgspec.json.encode({**document, "calls": session.counter.calls}))
        elif not outcome.done and not left:
            calls = plural(session.counter.calls, "API call")
            click.echo(f"Nothing to do: the org matches the configuration ({calls}).")
        elif left:
            click.echo("Still different: " + logs.clean("; ".join(left)))
        else:
            where = logs.clean(plan.org.name or plan.org.id)
            click.echo(f"The package is in {where} ({plural(session.counter.calls, 'API call')}).")
        return 1 if left else 0

    return _with_session(settings, work, user=user, changes=True, choice=Choice(without, restored))


@package.command(epilog=options.examples("rtsd package status", "rtsd package status --json"))
@options.config
@_USER
@options.as_json
def status(*, config_path: Path | None, user: str, as_json: bool) -> int:
    """Compare the installed package with the configuration.

    Exit status 1 when something differs. About 22 API calls.
    """
    return _status(config_path, user=user, as_json=as_json)


@package.command(epilog=options.examples("rtsd package disable"))
@options.config
@options.as_json
def disable(*, config_path: Path | None, as_json: bool) -> None:
    """Stop pushes at once, for the whole org (RTS Settings, Disable RTS).

    The mirror stays right through Interval Sync. Works in the org itself, with or without a daemon.
    """
    _switch(config_path, disabled=True, as_json=as_json)


@package.command(epilog=options.examples("rtsd package enable"))
@options.config
@options.as_json
def enable(*, config_path: Path | None, as_json: bool) -> None:
    """Let the package push again."""
    _switch(config_path, disabled=False, as_json=as_json)


@package.command(
    "rotate-token", epilog=options.examples("rtsd package rotate-token", "rtsd package rotate-token --finish")
)
@options.config
@click.option(
    "--finish", is_flag=True, help="Drop the old token, a day (stream: four) after the change or later."
)
@options.as_json
def rotate_token(*, config_path: Path | None, finish: bool, as_json: bool) -> None:
    """Give the org a new push token, without refusing a push.

    Adds a second token to the token file, has a running daemon load it, and switches the org. Both are
    accepted for a day at least, with the stream for four; then --finish drops the old one.
    """
    settings = _load(config_path)
    from rtsd.workflows.installation import rotation  # noqa: PLC0415 - as above

    async def work(session: OrgSession, plan: Plan) -> rotation.Rotated:
        step = rotation.finish if finish else rotation.begin
        return await step(session.client, plan, settings, wall_ms())

    done = _with_session(settings, work, changes=True)
    if as_json:
        click.echo(msgspec.json.encode(asdict(done)))
        return
    if done.finish_after is not None:
        click.echo(f"The org signs with token {done.token_id} now; the old one is accepted as well.")
        click.echo(f"From {done.finish_after} on, rtsd package rotate-token --finish drops the old one.")
    elif done.dropped:
        click.echo(f"Dropped {', '.join(done.dropped)}; only {done.token_id} is accepted.")
    else:
        click.echo(f"Nothing to do: only {done.token_id} is accepted.")
    if not done.daemon:
        _say("No daemon runs here; it reads the token file when it starts.")


@package.command(epilog=options.examples("rtsd package test"))
@options.config
@options.as_json
def test(*, config_path: Path | None, as_json: bool) -> None:
    """Have the org send a test push; rtsd events shows it when it arrives."""
    settings = _load(config_path)
    from rtsd import apex  # noqa: PLC0415 - as above
    from rtsd.salesforce.deploy import run_anonymous  # noqa: PLC0415 - as above

    async def work(session: OrgSession, _plan: Plan) -> None:
        await run_anonymous(session.client, apex.test_script())

    _with_session(settings, work)
    if as_json:
        click.echo(msgspec.json.encode({"sent": True}))
    else:
        click.echo("The org sends a test push now; rtsd events --follow shows it when it arrives.")


@package.command(epilog=options.examples("rtsd package remove", "rtsd package remove --yes --local-tests"))
@options.config
@click.option("--yes", is_flag=True, help="Do not ask.")
@_RUN_TEST
@_LOCAL_TESTS
@options.as_json
def remove(
    *, config_path: Path | None, yes: bool, run_tests: Sequence[str], local_tests: bool, as_json: bool
) -> int:
    """Remove the package from the org, with its settings, conditions and error log.

    In the order that Salesforce requires: Disable RTS, jobs, assignments, then all components. If that
    fails the package works as before. In production a class RTS_Removal_Test is the only test that runs, so
    that failing tests of the org don't matter; it goes last. Interval Sync keeps the mirror right.
    """
    settings = _load(config_path)
    from rtsd.workflows.installation.removing import remove as remove_package  # noqa: PLC0415 - as above

    if not yes and not sys.stdin.isatty():
        raise click.UsageError("Without a terminal, confirm with --yes.")
    if not yes:
        click.confirm("Remove the package with its settings, conditions and error log?", abort=True, err=True)

    async def work(session: OrgSession, plan: Plan) -> int:
        tests = plan.removal_tests(tuple(run_tests), local=local_tests)
        removed = await remove_package(
            session.client, plan, tests, report=_say, on_progress=_ProgressPrinter().show
        )
        if as_json:
            document = {"removed": removed.done, "left": removed.left, "calls": session.counter.calls}
            click.echo(msgspec.json.encode(document))
        elif removed.left:
            click.echo("Still there: " + logs.clean("; ".join(removed.left)))
            if removed.left == [ONLY_THE_TEST]:
                click.echo(TEST_IS_LEFT)
        elif removed.done:
            components = plural(len(removed.done), "component")
            click.echo(f"Removed {components}; nothing of the package is left in the org.")
        else:
            click.echo("Nothing to do: nothing of the package is in the org.")
        return 1 if removed.left else 0

    return _with_session(settings, work, pushes=False, changes=True)


def _status(config_path: Path | None, *, user: str = "", as_json: bool) -> int:
    settings = _load(config_path)
    from rtsd.workflows.installation.reports import report  # noqa: PLC0415 - as above

    async def work(session: OrgSession, plan: Plan) -> int:
        found = await report(session.client, plan)
        if as_json:
            click.echo(msgspec.json.encode({**found.document(), "calls": session.counter.calls}))
        else:
            click.echo("\n".join(report_lines(found)))
        return 1 if found.differences else 0

    return _with_session(settings, work, user=user)


def _switch(config_path: Path | None, *, disabled: bool, as_json: bool) -> None:
    settings = _load(config_path)
    from rtsd.salesforce.package import set_disabled  # noqa: PLC0415 - as above

    async def work(session: OrgSession, plan: Plan) -> bool:
        return await set_disabled(session.client, plan.org.id, disabled=disabled)

    changed = _with_session(settings, work, pushes=False, changes=True)
    if as_json:
        click.echo(msgspec.json.encode({"disabled": disabled, "changed": changed}))
        return
    state = "disabled: Interval Sync keeps the mirror right" if disabled else "enabled"
    click.echo(f"The package is {state}." if changed else f"It was {state.partition(':')[0]} already.")


def _load(config_path: Path | None) -> Config:
    settings = config.load(config_path)
    logs.setup("error", "text")
    logs.conceal(secret.reveal() for secret in settings.secrets())
    return settings


def _with_session(
    settings: Config,
    work: Callable[[OrgSession, Plan], Awaitable[T]],
    *,
    user: str = "",
    pushes: bool = True,
    changes: bool = False,
    choice: Choice | None = None,
) -> T:
    """Connect, make the plan, and work; with `changes` a running daemon probes the package afterwards."""
    from rtsd.workflows.installation import plan as plans  # noqa: PLC0415 - as above
    from rtsd.workflows.installation.org_session import org_session  # noqa: PLC0415 - as above

    async def run() -> T:
        async with org_session(settings) as session:
            plan = await plans.make(
                session.client, settings, user=user, pushes=pushes, choice=choice or plans.NO_CHOICE
            )
            session.changes = changes
            return await work(session, plan)

    return asyncio.run(run())


def _say(text: str) -> None:
    click.echo(logs.clean(text), err=True)


def _warn(warnings: Sequence[str], plan: Plan) -> None:
    for warning in warnings:
        _say(f"Warning: {warning}")
    if plan.untriggered:
        _say(f"Salesforce runs no triggers for {', '.join(plan.untriggered)}: Interval Sync reads them.")
    if plan.left_out:
        _say(f"Left out: {', '.join(plan.left_out)}. Interval Sync reads them.")


class _ProgressPrinter:
    """Prints the progress of a deployment when it has changed, and not too often."""

    def __init__(self) -> None:
        self._printed = ""
        self._at = 0

    def show(self, progress: Progress) -> None:
        """Print the progress."""
        components = plural(progress.components_total, "component")
        line = f"  {progress.status}: {progress.components} of {components}"
        if progress.tests_total:
            line += f", {progress.tests} of {plural(progress.tests_total, 'test')}"
        line += f" ({progress.detail})" if progress.detail else ""
        now = monotonic_ms()
        if line != self._printed and now - self._at >= PROGRESS_MS:
            self._printed, self._at = line, now
            _say(line)
