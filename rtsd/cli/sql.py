"""`rtsd sql`: a read-only query of the mirror."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.output import Cell, table
from rtsd.control.protocol import QueryResult
from rtsd.core.plural import plural
from rtsd.logs import clean


def _json(found: QueryResult) -> str:
    return msgspec.json.encode(found).decode()


def _csv(found: QueryResult) -> str:
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(found.columns)
    lines.writerows([None if value is None else _text(value) for value in row] for row in found.rows)
    return text.getvalue()


def _table(found: QueryResult) -> str:
    return table(found.columns, [[_cell(value) for value in row] for row in found.rows])


def _cell(value: object) -> Cell:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if value is None or is_number else _text(value)  # type: ignore[return-value]


def _text(value: object) -> str:
    """Return a value as text; control characters go to files only."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return clean(text) if sys.stdout.isatty() else text


_RENDER: Mapping[str, Callable[[QueryResult], str]] = {"table": _table, "csv": _csv, "json": _json}


@click.command(
    epilog=options.examples(
        "rtsd sql \"SELECT Id, Email FROM Contact WHERE Email LIKE '%@acme.com'\"",
        'rtsd sql --format csv "SELECT * FROM Lead" > leads.csv',
        "rtsd sql - < report.sql",
        'rtsd sql --at 24h "SELECT StageName, SUM(Amount) FROM Opportunity GROUP BY StageName"',
    )
)
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_RENDER)),
    default="table",
    show_default=True,
    help="json prints columns, rows, and whether the result was truncated; --json is the same.",
)
@options.at("The objects as they were then")
@options.socket
@options.as_json
def sql(*, query: str, form: str, at: str | None, socket: Path | None, as_json: bool) -> int:
    """Run a read-only query on the mirror; no API call is made.

    QUERY is one SELECT; `-` reads it from stdin. Bounded: at most 5 s, 16 MiB and 10,000 rows. A longer
    result is cut and exits with 1: ask for less, or read the mirror itself.

    With --at, each object that QUERY names has the rows that it had at that moment, as far back as the
    journal is kept ([store] journal_keep). rtsd's own tables are as they are now.
    """
    asked = sys.stdin.read() if query == "-" else query
    found = ask(socket, lambda client: client.query(asked, at))
    render = _RENDER["json" if as_json else form]
    click.echo(render(found), nl=render is not _csv)
    if found.truncated:
        click.echo(f"Only the first {plural(len(found.rows), 'row')} are shown.", err=True)
    return int(found.truncated)
