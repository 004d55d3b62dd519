"""`rtsd dead-letters`: pushes and deliveries that could not be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask, ask_raw
from rtsd.cli.groups import Group
from rtsd.cli.output import table
from rtsd.control.client import ControlClient
from rtsd.control.protocol import DeadLetter, Retried
from rtsd.core.dead_letter import FAILED, WAITING
from rtsd.errors import NotFound
from rtsd.logs import clean

_HEADERS = ("ID", "AT", "REASON", "OBJECT", "RECORD", "TRIES", "MESSAGE")
_IDS = click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID…]")
_RULE = click.option("--rule", metavar="NAME", help="All undelivered messages of a rule or an alert.")


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog=options.examples(
        "rtsd dead-letters", "rtsd dead-letters show 12", "rtsd dead-letters retry 12 13"
    ),
)
@options.socket
@options.as_json
@click.pass_context
def dead_letters(ctx: click.Context, *, socket: Path | None, as_json: bool) -> None:
    """Show pushes and deliveries that could not be used; retry or drop them.

    A dead letter is kept, with its reason, until a retry succeeds or it is dropped.
    """
    if ctx.invoked_subcommand is None:
        _list(socket, as_json=as_json)


@dead_letters.command("list", epilog=options.examples("rtsd dead-letters list --json"))
@options.socket
@options.as_json
def list_all(*, socket: Path | None, as_json: bool) -> None:
    """List them, the newest last."""
    _list(socket, as_json=as_json)


@dead_letters.command(epilog=options.examples("rtsd dead-letters show 12"))
@click.argument("letter_id", type=click.IntRange(min=1), metavar="ID")
@options.socket
@options.as_json
def show(*, letter_id: int, socket: Path | None, as_json: bool) -> None:
    """Show a dead letter in full."""
    letters = ask(socket, lambda client: client.dead_letters())
    found = [letter for letter in letters if letter.id == letter_id]
    if not found:
        raise NotFound(f"There is no dead letter {letter_id}.", "rtsd dead-letters lists those there are.")
    if as_json:
        click.echo(msgspec.json.encode(found[0]))
        return
    for name, value in msgspec.to_builtins(found[0]).items():
        click.echo(f"{name:<9} {clean(str(value))}")


@dead_letters.command(
    epilog=options.examples("rtsd dead-letters retry 12 13", "rtsd dead-letters retry --rule crm")
)
@_IDS
@_RULE
@options.socket
def retry(*, ids: Sequence[int], rule: str | None, socket: Path | None) -> int:
    """Retry dead letters now, and say how that ended; exit status 1 if one failed again."""
    _require_some(ids, rule)

    async def retry_each(client: ControlClient) -> int:
        waits, failed = True, 0
        for letter_id in await _chosen(client, ids, rule):
            ended = await client.retry(letter_id, wait=waits)
            waits = waits and ended.outcome != WAITING  # in a pause that of the others takes as long
            failed |= ended.outcome == FAILED
            click.echo(f"Dead letter {letter_id} {_ended(ended)}")
        return int(failed)

    return ask(socket, retry_each)


def _ended(retried: Retried) -> str:
    """Say how a retry ended."""
    if retried.outcome == WAITING:
        return "is being tried again."
    if retried.outcome == FAILED:
        return f"failed again: {retried.reason}. {retried.do}"
    return f"was {retried.outcome}."


@dead_letters.command(epilog=options.examples("rtsd dead-letters drop 12"))
@_IDS
@_RULE
@options.socket
def drop(*, ids: Sequence[int], rule: str | None, socket: Path | None) -> None:
    """Delete dead letters for good."""
    _require_some(ids, rule)

    async def drop_each(client: ControlClient) -> None:
        for letter_id in await _chosen(client, ids, rule):
            await client.drop(letter_id)
            click.echo(f"Dead letter {letter_id} is dropped.")

    ask(socket, drop_each)


def _require_some(ids: Sequence[int], rule: str | None) -> None:
    if not ids and rule is None:
        raise click.UsageError("Name dead letters by their ids, or those of a rule with --rule.")


async def _chosen(client: ControlClient, ids: Sequence[int], rule: str | None) -> Sequence[int]:
    """Return the ids of the named letters; those of a rule oldest first, in the order of their events."""
    if rule is None:
        return ids
    found = [letter.id for letter in await client.dead_letters() if letter.rule == rule]
    if not found:
        raise NotFound(f"There is no dead letter of {rule}.", "rtsd dead-letters lists those there are.")
    return sorted({*found, *ids})


def _list(socket: Path | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(ask_raw(socket, "/v1/dead-letters"))
        return
    found = ask(socket, lambda client: client.dead_letters())
    click.echo(table(_HEADERS, [_row(letter) for letter in found[::-1]]) if found else "No dead letters.")


def _row(letter: DeadLetter) -> tuple[str | int | None, ...]:
    about = (letter.reason, letter.object, letter.record)
    return (str(letter.id), letter.at, *about, letter.attempts, letter.message)
