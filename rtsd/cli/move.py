"""`rtsd move`: the mirror into another store, proven equal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from rtsd import config
from rtsd.cli import options
from rtsd.cli.progress_line import ProgressLine
from rtsd.config import Config
from rtsd.config.engine import engine_at, engine_of, without_password
from rtsd.config.secrets import SecretFiles
from rtsd.core.plural import plural
from rtsd.errors import UsageError
from rtsd.machine import monotonic_ms
from rtsd.store.engine import Engine
from rtsd.store.moving.sides import Begin
from rtsd.store.sqlite.engine import SqliteEngine
from rtsd.workflows import move as moving
from rtsd.workflows.move import Outcome

_FILE_TO_MAKE = "a file with the password"
"""What [store] needs where the password was in the URL, which is not shown."""


@click.command(
    epilog=options.examples(
        "rtsd move --to postgresql://rts@db.example.com/acme --password-file postgres-password",
        "rtsd move --to /var/lib/rtsd/mirror.db",
    )
)
@click.option(
    "--to",
    required=True,
    metavar="URL|PATH",
    help="Where the mirror goes: a PostgreSQL URL, or the path of a new SQLite file.",
)
@click.option("--password-file", metavar="FILE", help="The file with the password for the URL.")
@click.option("--schema", metavar="NAME", help="The schema of the mirrored objects; else that of [store].")
@click.option(
    "--internal-schema", metavar="NAME", help="The schema of rtsd's own tables; else that of [store]."
)
@click.option("--resume", is_flag=True, help="Go on where a move that was interrupted has ended.")
@click.option("--replace", is_flag=True, help="Remove what such a move has left, and begin again.")
@options.config
@options.as_json
def move(
    *,
    to: str,
    password_file: str | None,
    schema: str | None,
    internal_schema: str | None,
    resume: bool,
    replace: bool,
    config_path: Path | None,
    as_json: bool,
) -> None:
    """Move the mirror into another store, proven equal: from SQLite to PostgreSQL, or back.

    Stop rtsd before. The target must be empty. Rows, deleted records, journal, history, waiting pushes and
    deliveries, ledger and checksums go along. Then every row of both is compared, and only then the target
    counts as a mirror. The source stays as it is; change [store] yourself. A move that was interrupted is
    refused until you say what to do with it: --resume or --replace.
    """
    if resume and replace:
        raise UsageError("--resume and --replace exclude each other.", "Choose one.")
    begin = Begin.RESUME if resume else Begin.REPLACE if replace else Begin.REFUSE
    settings = config.load(config_path)
    origin = engine_of(settings)
    password = _password(password_file)
    destination = engine_at(settings, to, password, schema, internal_schema)
    began = monotonic_ms()
    with ProgressLine(quiet=as_json) as line:

        def tell(verb: str, what: str, rows: int, total: int | None) -> None:
            line.show(f"{verb} {what}", rows, total)

        outcome = asyncio.run(moving.move(origin, destination, tell, begin))
    seconds = (monotonic_ms() - began) / 1000
    store = _store(destination, to, schema, internal_schema, password_file)
    if as_json:
        click.echo(msgspec.json.encode(_document(origin, destination, outcome, seconds, store)))
    else:
        click.echo("\n".join(_lines(settings, origin, outcome, seconds, store)))


def _password(name: str | None) -> str | None:
    """Read the password. Raises UsageError."""
    if name is None:
        return None
    try:
        return SecretFiles(Path.cwd()).read(name)
    except ValueError as error:
        raise UsageError(f"--password-file: {error}") from None


def _store(
    destination: Engine, to: str, schema: str | None, internal_schema: str | None, password_file: str | None
) -> dict[str, str]:
    """Return what [store] has to say from now on."""
    if isinstance(destination, SqliteEngine):
        return {"path": destination.name}
    url, _ = without_password(to)
    secret = password_file or (_FILE_TO_MAKE if url != to else None)
    given = {"password_file": secret, "schema": schema, "internal_schema": internal_schema}
    return {"url": url, **{name: value for name, value in given.items() if value}}


def _document(
    origin: Engine, destination: Engine, outcome: Outcome, seconds: float, store: dict[str, str]
) -> dict[str, object]:
    moved = outcome.moved
    return {
        "from": origin.name,
        "to": destination.name,
        "equal": True,
        "objects": [{"name": name, "rows": rows} for name, rows in moved.rows.items()],
        "tables": moved.own,
        "rows": moved.total,
        "seconds": seconds,
        "store": store,
    }


def _lines(
    settings: Config, origin: Engine, outcome: Outcome, seconds: float, store: dict[str, str]
) -> Iterator[str]:
    moved = outcome.moved
    rate = moved.total / max(seconds, 0.001)
    yield (
        f"Moved {plural(len(moved.rows), 'object')} with {plural(sum(moved.rows.values()), 'row')}, and"
        f" {plural(moved.own['_rts_journal'], 'journal entry')}; all is equal."
        f" {plural(moved.total, 'row')} in {seconds:.1f} s ({rate:,.0f}/s)."
    )
    if outcome.key is not None:
        yield f"The key that signs certificates is in {outcome.key}."
    yield f"Now change [store] in {settings.path}: remove {'url' if 'path' in store else 'path'}, and write"
    for key, value in store.items():
        yield f"    {key} = {json.dumps(value)}"
    yield f"Then start rtsd. {origin.name} is as it was: remove it once all is well."
