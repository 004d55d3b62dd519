"""`rtsd missed`: the changes that came by no push."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import table
from rtsd.control.protocol import Missed, Spell
from rtsd.core.missed import STILL, outcome, pushes

_HEADERS = ("SINCE", "UNTIL", "CHANGES", "PUSHES", "OBJECTS", "WHY")


@click.command(epilog=options.examples("rtsd missed", "rtsd missed --since 7d --json | jq '.spells[].first'"))
@options.since(required=False)
@options.socket
@options.as_json
def missed(*, since: str | None, socket: Path | None, as_json: bool) -> None:
    """Show which changes came by no push, when and why.

    Of the last 24 hours, unless --since says otherwise. Each line is a time between two pushes, with the
    changes that Interval Sync and audits found in it. A change that no read has found yet is not among them.
    """
    found = ask(socket, lambda client: client.missed(since))
    click.echo(msgspec.json.encode(found) if as_json else "\n".join(_told(found)))


def _told(found: Missed) -> Iterator[str]:
    if found.spells:
        yield table(_HEADERS, [_row(spell) for spell in found.spells])
    yield outcome(found.missed, found.since)
    if found.truncated:
        yield "There were more changes: give a later moment to --since."


def _row(spell: Spell) -> tuple[str | int | None, ...]:
    objects = ", ".join(f"{name} {count:,}" for name, count in spell.objects.items())
    due = pushes(is_missed=spell.missed)
    return (spell.since, spell.until or STILL, spell.changes, due, objects, spell.why)
