"""`rtsd audit`: compare with the org, and repair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.estimate import estimate_lines, sum_of
from rtsd.cli.output import table
from rtsd.control.client import ControlClient

_HEADERS = ("OBJECT", "CHECKED", "MISSING", "STALE", "ORPHANED", "REPAIRED", "CALLS", "JOBS", "SECONDS")


@click.command(epilog=options.examples("rtsd audit Contact", "rtsd audit --full --dry-run"))
@click.argument("objects", nargs=-1, metavar="[OBJECT…]")
@click.option("--full", is_flag=True, help="Read every row again, through the Bulk API.")
@click.option(
    "--accept-missing",
    is_flag=True,
    help="With --full: delete what the org does not show, however much that is.",
)
@click.option("--dry-run", is_flag=True, help="Only say what it would cost.")
@options.socket
@options.as_json
def audit(
    *,
    objects: Sequence[str],
    full: bool,
    accept_missing: bool,
    dry_run: bool,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Compare objects with the org and repair what differs.

    Counts per stamp bucket are compared first, which costs a few calls and reads no rows; only what
    differs is fetched. Without OBJECT, every mirrored object. Waits for the end; exit status 1 when
    something that was found is not repaired.
    """

    async def audit_each(client: ControlClient) -> list[dict[str, Any]]:
        names = list(objects) or [one.name for one in (await client.status()).objects]
        return [
            await client.audit(
                name, full=full, dry_run=dry_run, accept_missing=accept_missing, wait=not dry_run
            )
            for name in dict.fromkeys(names)
        ]

    if accept_missing and not full:
        raise click.UsageError("--accept-missing goes with --full: only a full read shows what is missing.")
    answers = ask(socket, audit_each)
    return _price(answers, as_json=as_json) if dry_run else _result(answers, as_json=as_json)


def _price(answers: Sequence[dict[str, Any]], *, as_json: bool) -> int:
    priced = sum_of(answers)
    if as_json:
        click.echo(msgspec.json.encode(priced))
    else:
        click.echo("\n".join(estimate_lines(priced)))
    return 1 if priced["problems"] else 0


def _result(answers: Sequence[dict[str, Any]], *, as_json: bool) -> int:
    audited = [one for answer in answers for one in answer.get("objects", [])]
    calls = sum(answer.get("api_calls", 0) for answer in answers)
    if as_json:
        click.echo(msgspec.json.encode({"objects": audited, "api_calls": calls}))
    else:
        click.echo(table(_HEADERS, [_row(one) for one in audited]))
    incomplete = [one for one in audited if one.get("state", "live") != "live"]
    for one in incomplete:
        click.echo(f"{one.get('name')} is {one['state']}: {one.get('error')}", err=True)
    return 1 if incomplete or any(_found(one) > one.get("repaired", 0) for one in audited) else 0


def _count(one: dict[str, Any], what: str) -> int:
    """How many: the lists are cut at 1,000 ids, the counts are not."""
    return int(one.get(f"{what}_count", len(one.get(what, ()))))


def _found(one: dict[str, Any]) -> int:
    return sum(_count(one, what) for what in ("missing", "stale", "orphaned"))


def _row(one: dict[str, Any]) -> tuple[str | int | None, ...]:
    counts = (_count(one, what) for what in ("missing", "stale", "orphaned"))
    spent = (one.get("repaired"), one.get("api_calls"), one.get("bulk_jobs"), f"{one.get('seconds', 0):.1f}")
    return (one.get("name"), one.get("checked"), *counts, *spent)
