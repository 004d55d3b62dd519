"""`rtsd why`: one record explained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.history import shown
from rtsd.cli.output import table
from rtsd.control.protocol import Event, MirrorRecord, OrgRecord, Why
from rtsd.core.plural import plural

NEWEST = 20
"""Events that are shown; --json has them all."""


@click.command(epilog=options.examples("rtsd why Contact 003xx000004TmiQAAS"))
@click.argument("name", metavar="OBJECT")
@click.argument("record", metavar="ID")
@options.socket
@options.as_json
def why(*, name: str, record: str, socket: Path | None, as_json: bool) -> int:
    """Explain one record: mirror and org side by side, and everything that touched it.

    It asks the org for the record as it is now, which costs one call. Exit status 1 when the two differ.
    """
    found = ask(socket, lambda client: client.why(name, record))
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(_lines(found)))
    return 1 if found.equal is False else 0


def _lines(found: Why) -> Iterator[str]:
    yield f"{found.object} {found.id}"
    yield f"mirror   {_mirror(found.mirror)}"
    yield f"org      {_org(found.org)}"
    yield f"verdict  {_verdict(found)}"
    yield from _context(found)
    differing = _differing(found)
    if differing:
        yield ""
        yield table(("FIELD", "MIRROR", "ORG"), differing)
    events = found.events[-NEWEST:]
    if events:
        yield ""
        yield table(("AT", "WHAT", "SOURCE", "OUTCOME", "CHANGED", "NOTE"), [_row(entry) for entry in events])


def _mirror(record: MirrorRecord | None) -> str:
    if record is None:
        return "has never seen it"
    if record.state == "deleted":
        merged = f", merged into {record.master}" if record.master else ""
        return f"deleted at {record.deleted_at}{merged}"
    partial = ", partial: some values may be older" if record.partial else ""
    return f"has it, from {record.source}, seen at {record.seen_at}{partial}"


def _org(record: OrgRecord | None) -> str:
    if record is None:
        return "was not asked"
    if not record.visible:
        return "shows no such record: it is gone for good, or the sync user may not see it"
    return "has it in the recycle bin" if record.deleted else "has it"


def _verdict(found: Why) -> str:
    if found.equal is None:
        return "unknown"
    if found.equal:
        return "equal"
    if found.to_be_fetched:
        return f"they differ; it is about to be fetched: {found.to_be_fetched}"
    return f"they differ; `rtsd repair {found.object} {found.id}` fetches it"


def _context(found: Why) -> Iterator[str]:
    facts = found.mirrored
    yield f"object   {facts.state}, as of {facts.as_of or 'never'}, proven {facts.proven_at or 'never'}"
    if facts.error:
        yield f"         {shown(facts.error)}"
    if facts.conditions:
        yield f"pushed   only when one of these changes: {', '.join(facts.conditions)}"
    if facts.where:
        yield f"filter   {shown(facts.where)}"
    if facts.privacy:
        yield f"privacy  {', '.join(f'{name}: {rule}' for name, rule in facts.privacy.items())}"
    if found.dead_letters:
        yield f"letters  {plural(found.dead_letters, 'dead letter', 'name')} it: rtsd dead-letters"


def _differing(found: Why) -> list[tuple[str, str, str]]:
    """Return the fields in which mirror and org differ."""
    mirror = found.mirror.values if found.mirror else None
    org = found.org.values if found.org else None
    if found.equal is not False or not mirror or not org:
        return []
    return [
        (name, shown(mirror.get(name)), shown(org.get(name)))
        for name in dict.fromkeys((*mirror, *org))
        if mirror.get(name) != org.get(name)
    ]


def _row(entry: Event) -> tuple[str | None, ...]:
    changed = ", ".join(entry.changed or ())
    return (
        entry.at,
        entry.op or entry.type,
        entry.source,
        entry.outcome,
        shown(changed) if changed else None,
        shown(entry.message) if entry.message else None,
    )
