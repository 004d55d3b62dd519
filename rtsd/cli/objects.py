"""`rtsd objects`: the state of each mirrored object."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import Cell, ago, span, table
from rtsd.control.protocol import Object, Status

_HEADERS = ("OBJECT", "STATE", "BY", "ROWS", "EXPECTED", "AS OF", "FRESH P95", "DRIFT", "ERROR")


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
    return table(_HEADERS, [_row(shown, now) for shown in now.objects])


def _state(shown: Object, now: Status) -> str:
    """Return the state; while the org is unreachable, `live` says as of when, as nothing proves more."""
    if now.mode != "unreachable" or shown.state != "live" or shown.as_of is None:
        return shown.state
    day, time = shown.as_of[:10], shown.as_of[11:16]
    return f"live as of {time} UTC" if day == now.now[:10] else f"live as of {day} {time} UTC"


def _row(shown: Object, status: Status) -> tuple[Cell, ...]:
    drift, now = shown.drift, status.now
    is_never_counted = not status.store.reachable and status.store.as_of is None
    found = drift.missing + drift.stale + drift.orphaned if drift and drift.checked_at else None
    return (
        shown.name,
        _state(shown, status),
        shown.arrives_by,
        None if is_never_counted else shown.rows,
        shown.expected_rows,
        ago(now, shown.as_of) if shown.as_of else None,
        span(shown.freshness_ms.p95) if shown.freshness_ms else None,
        found,
        shown.error,
    )
