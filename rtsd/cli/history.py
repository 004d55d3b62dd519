"""`rtsd history`: a record's past values, and which source brought each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import table
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
@click.option("--at", metavar="TIME", help="Only how it looked then, ISO 8601.")
@options.socket
@options.as_json
def history(*, name: str, record: str, at: str | None, socket: Path | None, as_json: bool) -> None:
    """Show a record's past values, and which source brought each.

    As far back as the journal is kept ([store] journal_keep); deletions, undeletions and merges included.
    """
    answer = ask(socket, lambda client: client.history(name, record, at))
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        click.echo("\n".join(_then(answer) if at else _versions(answer)))


def shown(value: object) -> str:
    """Return a value as people read it: nothing as a dash, text on one line and not too long."""
    if value is None:
        return "-"
    text = clean(str(value)).replace("\n", " ")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def values_table(values: Mapping[str, Any]) -> str:
    """Return a record's fields that have a value, one in a line."""
    return table(("FIELD", "VALUE"), [(name, shown(one)) for name, one in values.items() if one is not None])


def _then(answer: Mapping[str, Any]) -> Iterator[str]:
    source = f", brought by {answer['source']}" if answer.get("source") else ""
    if answer["values"] is None:
        state = "was deleted" if answer.get("deleted") else "is not known"
        yield f"{answer['object']} {answer['id']} {state} at {answer['at']}{source}."
        return
    yield f"{answer['object']} {answer['id']} at {answer['at']}{source}:"
    yield values_table(answer["values"])


def _versions(answer: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for version in answer["versions"]:
        changes = [f"{name}: {_change(one)}" for name, one in version["changed"].items()]
        if version.get("master"):
            changes.append(f"merged into {version['master']}")
        for place, change in enumerate(changes or [""]):
            head = (version["at"], version["op"], version["source"]) if place == 0 else ("", "", "")
            rows.append([*(cell or " " for cell in head), change])
    if rows:
        yield table(("AT", "WHAT", "SOURCE", "CHANGED"), rows)
    now = answer.get("now")
    if now is None:
        yield "It is not in the mirror now."
    elif now["state"] == "deleted":
        yield f"It is deleted since {now['deleted_at']}."
    elif not rows:
        yield f"It has not changed since the {now['source']} that brought it, seen at {now['seen_at']}."


def _change(one: Mapping[str, Any]) -> str:
    return f"{shown(one['from'])} → {shown(one['to'])}"
