"""`rtsd events`: the journal as lines."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import coloured
from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event, Lagged
from rtsd.errors import DaemonUnreachable
from rtsd.logs import clean

_PAGE = 1_000  # entries per request: a whole journal in one answer would take long
_STOPPED = "rtsd ended the feed: it is stopping."


class _Document(msgspec.Struct):
    id: str


@click.command(
    epilog=options.examples(
        "rtsd events --object Contact",
        "rtsd events --follow --json | jq -c 'select(.type == \"mode\")'",
        "rtsd events --after 1042 --follow",
        "rtsd events --follow --format cloudevents | kcat -P -b broker:9092 -t salesforce",
    )
)
@click.option("-f", "--follow", is_flag=True, help="Keep printing entries as they happen.")
@click.option("--object", "name", metavar="OBJECT", help="Only entries about this object.")
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only entries after number N. Else the whole journal; with --follow, from now on.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="M", help="At most M entries.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "cloudevents"]),
    default=None,
    help="text; json, as --json; or cloudevents: only changes, each with the record before and after it.",
)
@options.socket
@options.as_json
def events(
    *,
    follow: bool,
    name: str | None,
    after: int | None,
    limit: int | None,
    form: str | None,
    socket: Path | None,
    as_json: bool,
) -> None:
    """Show the journal as lines; --follow keeps it coming.

    Oldest first. Every entry has a number; a reader that keeps the last one resumes with --after. With
    --format cloudevents it prints what [[streams]] publishes, for any other message broker.
    """

    async def show(client: ControlClient) -> None:
        if form == "cloudevents":
            lines = _documents(client, name, after, follow=follow)
        else:
            entries = _follow(client, name, after) if follow else _all(client, name, after or 0)
            lines = _rendered(entries, as_json=as_json or form == "json")
        left = limit
        async for text in lines:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            left = None if left is None else left - 1
            if left == 0:
                return

    ask(socket, show)


def line(entry: Event) -> str:
    """Return an entry on a line: number, time, operation or type, object, record, and the rest."""
    words = [
        str(entry.seq),
        entry.at,
        entry.op or entry.type,
        entry.object,
        entry.id,
        f"from {entry.source}" if entry.source else None,
        entry.outcome,
        f"{entry.latency_ms} ms" if entry.latency_ms is not None else None,
        ",".join(entry.changed or ()),
        entry.message,
    ]
    return " ".join(coloured(clean(word)) for word in words if word)


async def _rendered(entries: AsyncIterator[Event], *, as_json: bool) -> AsyncIterator[str]:
    async for entry in entries:
        yield msgspec.json.encode(entry).decode() if as_json else line(entry)


async def _documents(
    client: ControlClient, name: str | None, after: int | None, *, follow: bool
) -> AsyncIterator[str]:
    """Yield changes as CloudEvents documents, those of the whole journal page by page."""
    if follow:
        async for raw in client.cloudevents(after=after, name=name, follow=True):
            yield raw.decode()
        raise DaemonUnreachable(_STOPPED, "Follow again when it is back.")
    after, is_last = after or 0, False
    while not is_last:
        is_last = True
        async for raw in client.cloudevents(after=after, name=name, limit=_PAGE):
            is_last, after = False, int(msgspec.json.decode(raw, type=_Document).id)
            yield raw.decode()


async def _all(client: ControlClient, name: str | None, after: int) -> AsyncIterator[Event]:
    """Yield every entry of the journal, page by page."""
    while page := await client.events(after=after, name=name, limit=_PAGE):
        for entry in page:
            yield entry
        after = page[-1].seq


async def _follow(client: ControlClient, name: str | None, after: int | None) -> AsyncIterator[Event]:
    """Yield entries as they happen; a reader that was too slow resumes where it was cut off."""
    lagged = True
    while lagged:
        lagged = False
        async for message in client.follow(after=after, name=name):
            if isinstance(message, Event):
                yield message
            elif isinstance(message, Lagged):
                lagged, after = True, message.after
    raise DaemonUnreachable(_STOPPED, "Follow again when it is back.")
