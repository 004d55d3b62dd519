"""`rtsd history`: a record's past values, each with its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import table
from rtsd.control.protocol import FieldChange, History, PastRecord
from rtsd.logs import clean

LONGEST = 60
"""Characters of a value that are shown; --json has them all."""


@click.command(
    epilog=options.examples(
        "rtsd history Contact 003xx000004TmiQAAS",
        "rtsd history Contact 003xx000004TmiQ --at 2026-03-01T10:00:00Z",
    )
)
@click.argument("name", metavar="OBJECT")
@click.argument("record", metavar="ID")
@options.at("Only the record as it was then")
@options.socket
@options.as_json
def history(*, name: str, record: str, at: str | None, socket: Path | None, as_json: bool) -> None:
    """Show a record's past values, and which source brought each.

    As far back as the journal is kept ([store] journal_keep); deletions, undeletions and merges included.
    """
    if at:
        past = ask(socket, lambda client: client.record_at(name, record, at))
        click.echo(msgspec.json.encode(past) if as_json else "\n".join(_past(past)))
    else:
        found = ask(socket, lambda client: client.history(name, record))
        click.echo(msgspec.json.encode(found) if as_json else "\n".join(_versions(found)))


def shown(value: object) -> str:
    """Return a value for people: None as a dash, text on one line and not too long."""
    if value is None:
        return "-"
    text = clean(str(value)).replace("\n", " ")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def values_table(values: Mapping[str, Any]) -> str:
    """Return a record's fields that have a value, each on a line."""
    known = [(name, shown(value)) for name, value in values.items() if value is not None]
    return table(("FIELD", "VALUE"), known)


def _past(record: PastRecord) -> Iterator[str]:
    source = f", brought by {record.source}" if record.source else ""
    if record.values is None:
        state = "was deleted" if record.deleted else "is not known"
        yield f"{record.object} {record.id} {state} at {record.at}{source}."
        return
    yield f"{record.object} {record.id} at {record.at}{source}:"
    yield values_table(record.values)
    if record.unknown:
        yield f"Not known then: {', '.join(record.unknown)}."


def _versions(found: History) -> Iterator[str]:
    rows = []
    for version in found.versions:
        changes = [f"{name}: {_change(change)}" for name, change in version.changed.items()]
        if version.master:
            changes.append(f"merged into {version.master}")
        for place, change in enumerate(changes or [""]):
            head = (version.at, version.op, version.source) if place == 0 else ("", "", "")
            rows.append([*(cell or " " for cell in head), change])
    if rows:
        yield table(("AT", "WHAT", "SOURCE", "CHANGED"), rows)
    now = found.now
    if now is None:
        yield "It is not in the mirror now."
    elif now.state == "deleted":
        yield f"It was deleted at {now.deleted_at}."
    elif not rows:
        yield f"It has not changed since the {now.source} that brought it, seen at {now.seen_at}."


def _change(change: FieldChange) -> str:
    return f"{shown(change.before)} → {shown(change.after)}"
