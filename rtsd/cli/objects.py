"""`rtsd objects`: how each mirrored object stands."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import Cell, ago, span, table
from rtsd.control.protocol import Object, Status

_HEADERS = ("OBJECT", "STATE", "ROWS", "EXPECTED", "AS OF", "FRESH P95", "DRIFT", "ERROR")


@click.command(
    epilog=options.examples(
        "rtsd objects", "rtsd objects --json | jq -r '.objects[] | select(.state != \"live\").name'"
    )
)
@options.socket
@options.as_json
def objects(*, socket: Path | None, as_json: bool) -> None:
    """Show each mirrored object: rows, freshness, drift.

    An object is live only when its rows were proven against the org's own count.
    """
    found = ask(socket, lambda client: client.status())
    if as_json:
        click.echo(msgspec.json.encode({"objects": found.objects}))
    else:
        click.echo(objects_table(found))


def objects_table(now: Status) -> str:
    """Return the objects of a status as a table."""
    return table(_HEADERS, [_row(one, now.now) for one in now.objects])


def _row(one: Object, now: str) -> tuple[Cell, ...]:
    drift = one.drift
    found = drift.missing + drift.stale + drift.orphaned if drift and drift.checked_at else None
    return (
        one.name,
        one.state,
        one.rows,
        one.expected_rows,
        ago(now, one.as_of) if one.as_of else None,
        span(one.freshness_ms.p95) if one.freshness_ms else None,
        found,
        one.error,
    )
