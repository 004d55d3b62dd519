"""`rtsd why`: one record explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.history import shown
from rtsd.cli.output import table

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
    answer = ask(socket, lambda client: client.why(name, record))
    if as_json:
        click.echo(msgspec.json.encode(answer))
    else:
        click.echo("\n".join(_lines(answer)))
    return 1 if answer.get("equal") is False else 0


def _lines(answer: Mapping[str, Any]) -> Iterator[str]:
    yield f"{answer['object']} {answer['id']}"
    yield f"mirror   {_mirror(answer['mirror'])}"
    yield f"org      {_org(answer['org'])}"
    yield f"verdict  {_verdict(answer)}"
    yield from _context(answer)
    differing = _differing(answer)
    if differing:
        yield ""
        yield table(("FIELD", "MIRROR", "ORG"), differing)
    events = answer["events"][-NEWEST:]
    if events:
        yield ""
        yield table(("AT", "WHAT", "SOURCE", "OUTCOME", "CHANGED", "NOTE"), [_event(one) for one in events])


def _mirror(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "has never seen it"
    if found["state"] == "deleted":
        merged = f", merged into {found['master']}" if found.get("master") else ""
        return f"deleted at {found['deleted_at']}{merged}"
    return f"has it, from {found['source']}, seen at {found['seen_at']}"


def _org(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "was not asked"
    if not found["visible"]:
        return "shows no such record: it is gone for good, or the sync user may not see it"
    return "has it in the recycle bin" if found["deleted"] else "has it"


def _verdict(answer: Mapping[str, Any]) -> str:
    if answer["equal"] is None:
        return "cannot be told"
    if answer["equal"]:
        return "equal"
    waits = answer.get("to_be_fetched")
    if waits:
        return f"they differ; it is about to be fetched: {waits}"
    return f"they differ; `rtsd repair {answer['object']} {answer['id']}` fetches it"


def _context(answer: Mapping[str, Any]) -> Iterator[str]:
    facts = answer["mirrored"]
    proven = facts["proven_at"] or "never"
    yield f"object   {facts['state']}, as of {facts['as_of'] or 'never'}, proven {proven}"
    if facts["error"]:
        yield f"         {shown(facts['error'])}"
    if facts["conditions"]:
        yield f"pushed   only when one of these changes: {', '.join(facts['conditions'])}"
    if facts["where"]:
        yield f"filter   {shown(facts['where'])}"
    if facts["privacy"]:
        yield f"privacy  {', '.join(f'{name}: {rule}' for name, rule in facts['privacy'].items())}"
    if answer["dead_letters"]:
        yield f"letters  {answer['dead_letters']} dead letters name it: rtsd dead-letters"


def _differing(answer: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The fields in which mirror and org differ."""
    mirror = (answer["mirror"] or {}).get("values")
    org = (answer["org"] or {}).get("values")
    if answer["equal"] is not False or not mirror or not org:
        return []
    return [
        (name, shown(mirror.get(name)), shown(org.get(name)))
        for name in dict.fromkeys((*mirror, *org))
        if mirror.get(name) != org.get(name)
    ]


def _event(one: Mapping[str, Any]) -> tuple[str | None, ...]:
    changed = ", ".join(one.get("changed") or ())
    message = one.get("message")
    return (
        one["at"],
        one.get("op") or one["type"],
        one.get("source"),
        one.get("outcome"),
        shown(changed) if changed else None,
        shown(message) if message else None,
    )
