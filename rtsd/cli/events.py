"""`rtsd events`: the journal as lines."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.event_lines import gathered, line, with_values
from rtsd.control.client import ControlClient, UnknownRoute
from rtsd.control.protocol import ChangeValues, Event, Lagged
from rtsd.errors import DaemonUnreachable, UsageError

_PAGE = 1_000  # entries per request: a whole journal in one answer would take long
_VALUED = 100
"""Entries whose values are asked for at once: no answer has more."""
_LAST = 100
"""Entries that are shown if nothing says which."""
_STOPPED = "rtsd ended the feed: it is stopping."
_KINDS = (
    *("change", "mode", "audit", "drift", "repair", "quota", "error", "dead_letter", "package", "schema"),
    *("rule", "assistant", "action"),
)


class _Document(msgspec.Struct):
    id: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which entries are wanted."""

    name: str | None
    kinds: Sequence[str]
    since: str | None
    until: str | None
    after: int | None
    last: int | None

    def chosen(self) -> dict[str, str | None]:
        """Return what the daemon chooses by, besides the object."""
        return {"type": ",".join(self.kinds) or None, "since": self.since, "until": self.until}


@click.command(
    epilog=options.examples(
        "rtsd events --object Contact --last 20",
        "rtsd events --kind error --kind dead_letter --since 24h",
        "rtsd events --follow --json | jq -c 'select(.type == \"mode\")'",
        "rtsd events --after 1042 --follow",
        "rtsd events --follow --format cloudevents | kcat -P -b broker:9092 -t salesforce",
    )
)
@click.option("-f", "--follow", is_flag=True, help="Keep printing entries as they happen.")
@click.option("--object", "name", metavar="OBJECT", help="Only entries about this object.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Only such entries; repeatable."
)
@click.option(
    "--last",
    type=click.IntRange(min=1, max=10_000),
    metavar="N",
    help=f"The newest N entries; {_LAST} if nothing else is said. With --follow, these first.",
)
@options.since(required=False)
@options.until
@click.option(
    "--after",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only entries after number N, 0 for the whole journal. With --follow, else from now on.",
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
    kinds: tuple[str, ...],
    last: int | None,
    since: str | None,
    until: str | None,
    after: int | None,
    limit: int | None,
    form: str | None,
    socket: Path | None,
    as_json: bool,
) -> None:
    """Show the newest entries of the journal as lines; --follow keeps them coming.

    Oldest first. A change is shown with the values that it replaced and brought, where they are known. Every
    entry has a number; a reader that keeps the last one resumes with --after. With --format cloudevents it
    prints what [[streams]] publishes, for any other message broker.
    """
    if not (follow or since or until) and last is None and after is None:
        last = min(_LAST, limit or _LAST)
    wanted = _Wanted(name, kinds, since, until, after, last)
    _require_sense(wanted, follow=follow, documents=form == "cloudevents")

    async def show(client: ControlClient) -> None:
        if form == "cloudevents":
            lines = _documents(client, wanted, follow=follow)
        else:
            entries = _follow(client, wanted) if follow else _chosen(client, wanted)
            lines = _rendered(client, entries, as_json=as_json or form == "json")
        left = limit
        async for text in lines:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
            left = None if left is None else left - 1
            if left == 0:
                return

    ask(socket, show)


def _require_sense(wanted: _Wanted, *, follow: bool, documents: bool) -> None:
    """Refuse what contradicts itself. Raises UsageError."""
    if follow and (wanted.since or wanted.until):
        raise UsageError("--follow goes on from now.", "Leave out --since and --until, or --follow.")
    if wanted.last is not None and wanted.after is not None:
        raise UsageError("--last and --after both say where to begin.", "Leave out one of them.")
    if documents and wanted.kinds:
        raise UsageError("--format cloudevents prints changes only.", "Leave out --kind.")
    if documents and follow and wanted.last is not None:
        raise UsageError("--format cloudevents --follow begins after a document.", "Give --after its id.")


async def _rendered(
    client: ControlClient, entries: AsyncIterator[Event], *, as_json: bool
) -> AsyncIterator[str]:
    async for batch in gathered(entries, _VALUED):
        values = await _values(client, batch)
        for entry in batch:
            known = values.get(entry.seq)
            yield with_values(entry, known) if as_json else line(entry, known)


async def _values(client: ControlClient, batch: Sequence[Event]) -> dict[int, ChangeValues]:
    """Return the values of the applied changes among these entries, by their numbers."""
    seqs = [entry.seq for entry in batch if entry.type == "change" and entry.outcome == "applied"]
    with suppress(UnknownRoute):  # of an older daemon
        return {found.seq: found for found in await client.event_values(seqs)} if seqs else {}
    return {}


async def _documents(client: ControlClient, wanted: _Wanted, *, follow: bool) -> AsyncIterator[str]:
    """Yield changes as CloudEvents documents, those of the whole journal page by page."""
    name, after = wanted.name, wanted.after
    if follow:
        async for raw in client.cloudevents(after=after, name=name, follow=True):
            yield raw.decode()
        raise DaemonUnreachable(_STOPPED, "Follow again when it is back.")
    is_last = False
    while not is_last:
        is_last = True
        async for raw in client.cloudevents(
            after=after, name=name, limit=_PAGE, last=wanted.last, chosen=wanted.chosen()
        ):
            is_last, after = wanted.last is not None, int(msgspec.json.decode(raw, type=_Document).id)
            yield raw.decode()


async def _chosen(client: ControlClient, wanted: _Wanted) -> AsyncIterator[Event]:
    """Yield the entries that are wanted, page by page."""
    if wanted.last is not None:
        for entry in await client.events(name=wanted.name, last=wanted.last, chosen=wanted.chosen()):
            yield entry
        return
    after = wanted.after or 0
    while page := await client.events(after, wanted.name, _PAGE, chosen=wanted.chosen()):
        for entry in page:
            yield entry
        after = page[-1].seq


async def _follow(client: ControlClient, wanted: _Wanted) -> AsyncIterator[Event]:
    """Yield entries as they happen; a reader that was too slow resumes where it was cut off."""
    after, lagged = wanted.after, True
    if wanted.last is not None:
        async for entry in _chosen(client, wanted):
            yield entry
            after = entry.seq
    while lagged:
        lagged = False
        async for message in client.follow(after=after, name=wanted.name):
            if isinstance(message, Event):
                if not wanted.kinds or message.type in wanted.kinds:
                    yield message
            elif isinstance(message, Lagged):
                lagged, after = True, message.after
    raise DaemonUnreachable(_STOPPED, "Follow again when it is back.")
