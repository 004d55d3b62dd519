"""`rtsd export`: all rows of an object in a file, now or as they were."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.export_files import FORMATS, RowFile
from rtsd.cli.progress_line import ProgressLine
from rtsd.cli.whole_file import part_of, put_in_place, require_free, translated
from rtsd.control.client import ControlClient
from rtsd.control.protocol import ExportEnd, ExportHead, ExportPage
from rtsd.core.plural import plural
from rtsd.errors import DaemonUnreachable, UsageError
from rtsd.machine import monotonic_ms

LIVE = "live"
_BROKEN_OFF = ("rtsd ended the export before it was whole.", "Look at its log; run it again.")


@click.command(
    epilog=options.examples(
        "rtsd export Contact contacts.csv",
        "rtsd export Opportunity pipeline.parquet --at 24h",
        "rtsd export Lead --format csv | gzip > leads.csv.gz",
    )
)
@click.argument("name", metavar="OBJECT")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), help="Else by the ending of FILE, or csv."
)
@options.at("The rows as they were then")
@click.option("--force", is_flag=True, help="Replace FILE, once the new one is whole.")
@options.socket
@options.as_json
def export(
    *,
    name: str,
    file: Path | None,
    form: str | None,
    at: str | None,
    force: bool,
    socket: Path | None,
    as_json: bool,
) -> None:
    """Write all rows of an object to FILE, as CSV or Parquet; without FILE to stdout.

    The rows are those of one moment, and FILE appears once it is whole. CSV has true and false for
    booleans, and nothing for NULL. Parquet has typed columns, and needs the extra rtsd[parquet]. No API call
    is made.
    """
    target = None if file is None or str(file) == "-" else file
    form = form or _format_of(target)
    with ProgressLine(quiet=as_json or (target is None and sys.stdout.isatty())) as line:
        exporter = _Exporter(name, at, form, line)
        if target is None:
            if as_json or (form == "parquet" and sys.stdout.isatty()):
                raise UsageError(f"{form} on stdout leaves no place for anything else.", "Name a FILE.")
            ask(socket, lambda client: exporter.run(client, sys.stdout.buffer))
            return
        require_free(target, force=force)
        with part_of(target) as part:
            found = ask(socket, lambda client: exporter.into(client, part))
            put_in_place(part, target, force=force)
    found = msgspec.structs.replace(found, file=str(target), bytes=target.stat().st_size)
    click.echo(msgspec.json.encode(found) if as_json else _line(found))


class _Exported(msgspec.Struct, kw_only=True):
    """What became of an export, as `--json` prints it."""

    object: str
    file: str = ""
    format: str
    at: str
    state: str
    rows: int
    columns: int
    bytes: int = 0
    seconds: float


def _format_of(file: Path | None) -> str:
    if file is None:
        return "csv"
    ending = file.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise UsageError(
            f"{file} ends in neither .csv nor .parquet.", "Say which with --format, or name it so."
        )
    return ending


def _line(found: _Exported) -> str:
    warning = "" if found.state == LIVE else f" {found.object} is {found.state}: its rows are not proven."
    rate = found.rows / max(found.seconds, 0.001)
    return (
        f"{found.file} has {plural(found.rows, 'row')} of {found.object} as of {found.at}:"
        f" {found.bytes / 1e6:,.1f} MB in {found.seconds:.1f} s ({rate:,.0f}/s).{warning}"
    )


@dataclass(frozen=True, slots=True)
class _Exporter:
    """Takes the rows from the daemon, and writes them."""

    name: str
    at: str | None
    form: str
    line: ProgressLine

    async def into(self, client: ControlClient, part: Path) -> _Exported:
        """Write a file, down to the disk."""
        with translated(part), part.open("wb") as file:
            found = await self.run(client, file)
            file.flush()
            os.fsync(file.fileno())
        return found

    async def run(self, client: ControlClient, file: BinaryIO) -> _Exported:
        """Write the rows. Raises DaemonUnreachable if not all of them came."""
        began = monotonic_ms()
        async with aclosing(client.export(self.name, self.at)) as lines:
            head = await anext(lines)
            if not isinstance(head, ExportHead):
                raise DaemonUnreachable(*_BROKEN_OFF)
            writer = FORMATS[self.form](file, head.columns)
            rows = await self._write(lines, writer, head)
            writer.close()
        return _Exported(
            object=head.object,
            format=self.form,
            at=head.at,
            state=head.state,
            rows=rows,
            columns=len(head.columns),
            seconds=(monotonic_ms() - began) / 1000,
        )

    async def _write(self, lines: AsyncGenerator[object, None], writer: RowFile, head: ExportHead) -> int:
        count, end = 0, None
        async for line in lines:
            if isinstance(line, ExportPage):
                writer.write(line.values)
                count += len(line.values)
                self.line.show(head.object, count, head.rows)
            elif isinstance(line, ExportEnd):
                end = line
        if end is None or end.rows != count:
            raise DaemonUnreachable(*_BROKEN_OFF)
        return count
