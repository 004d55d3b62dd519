"""`rtsd check`: a check of everything before the first byte is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from rtsd import config, logs
from rtsd.cli import options
from rtsd.cli.estimate import estimate_lines
from rtsd.cli.output import table
from rtsd.core.plural import plural

if TYPE_CHECKING:
    from rtsd.workflows.capture import CaptureReport
    from rtsd.workflows.check import Report


@click.command(epilog=options.examples("rtsd check -c rtsd.toml", "rtsd check --json | jq .estimate"))
@options.config
@options.as_json
def check(*, config_path: Path | None, as_json: bool) -> int:
    """Check everything before the first byte is read, and price it.

    Tries the configuration, its secrets and the login; shows the org, the limits of the sync user's
    access, the package, and the price of the first audit. Reads a few rows and changes nothing. Exit
    status 1 when something will not work.
    """
    settings = config.load(config_path)
    logs.setup("error", "text")
    logs.conceal(secret.reveal() for secret in settings.secrets())
    from rtsd.workflows.check import inspect  # noqa: PLC0415 - half a second of imports, after mistakes are reported

    report = asyncio.run(inspect(settings))
    if as_json:
        click.echo(msgspec.json.encode(report.document()))
    else:
        click.echo("\n".join(lines(report)))
    return 1 if report.problems else 0


def lines(report: Report) -> Iterator[str]:
    """Yield the report as lines of text."""
    if report.org is not None:
        org = report.org
        kind = {True: "sandbox", False: "production", None: "sandbox or production"}[org.sandbox]
        apex = {True: "runs Apex", False: "no Apex", None: "Apex not known"}[report.apex]
        known = (org.name or "name hidden", org.id, kind, org.edition or "edition hidden", apex)
        yield logs.clean(f"org       {', '.join(known)}")
        sight = {True: "sees all records", False: "sees what is shared with it", None: "sight not known"}
        yield logs.clean(f"user      {report.user or 'not known'}, {sight[report.sees_all]}")
        yield f"package   {report.package or 'not known'}"
    if report.capture is not None:
        yield from _capture_lines(report.capture)
    if report.objects:
        yield ""
        rows = [(checked.name, checked.fields, checked.size.rows) for checked in report.objects]
        yield table(("OBJECT", "FIELDS", "ROWS"), rows)
        yield ""
    for name, message in report.privacy.items():
        yield logs.clean(f"privacy   {name}: {message}")
    yield from price_lines(report)
    for warning in report.warnings:
        yield f"warning   {warning.what}"
        yield f"          {warning.do}"


def price_lines(report: Report) -> Iterator[str]:
    """Yield the prices of an idle day and of the first audit, and the problems."""
    if report.idle is not None:
        idle = report.idle
        pushed = f"{plural(idle.real_time, 'API call')} a day while pushes come, {idle.interval:,}"
        read = f"{plural(idle.interval, 'API call')} a day"
        yield f"idle      {pushed if report.has_channel else read} by Interval Sync"
        is_there = report.package in ("installed", "disabled")
        if idle.awaiting_package != idle.interval and not is_there:
            yield f"          {idle.awaiting_package:,} until the package is in the org"
    yield from estimate_lines(report.priced())


def _capture_lines(found: CaptureReport) -> Iterator[str]:
    yield logs.clean(
        f"cdc       {found.topic}; {found.selected_in_org} selected in the org, {found.free} free"
    )
    for shown in found.objects:
        can = {True: "can be", False: "cannot be", None: "perhaps can be"}[shown.can_be_selected]
        yield logs.clean(f"          {shown.name}: {'selected' if shown.selected else f'{can} selected'}")
    calls = plural(found.completion_calls_a_day, "API call")
    yield f"          {calls} a day to complete rows while all keep changing"
