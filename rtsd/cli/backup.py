"""`rtsd backup`: a consistent copy of the mirror while it runs."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.progress_line import ProgressLine, watched
from rtsd.cli.whole_file import part_of, put_in_place, require_free, translated
from rtsd.control.client import ControlClient
from rtsd.errors import CorruptDatabase, UsageError
from rtsd.machine import monotonic_ms
from rtsd.store.sqlite.backup import check

MEGABYTE = 1_000_000


@click.command(epilog=options.examples("rtsd backup /backup/mirror.db", "rtsd backup --force today.db"))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE, once the new copy is whole.")
@options.socket
@options.as_json
def backup(*, file: Path, force: bool, socket: Path | None, as_json: bool) -> None:
    """Write a consistent copy of the mirror to FILE, while rtsd runs.

    It contains every push that was answered before it began. It is made beside the mirror, which takes as
    much space for a moment, checked after the transfer, and readable by you alone. docs/operations.md says
    how to restore it.
    """
    began = monotonic_ms()
    _require_free(file, force=force)
    with part_of(file) as part:
        with ProgressLine(quiet=as_json) as line:
            download = _Download(part, line)
            taken_at = ask(socket, download.run)
        put_in_place(part, file, force=force)
    seconds, size = (monotonic_ms() - began) / 1000, file.stat().st_size
    if as_json:
        found = {"file": str(file), "bytes": size, "sha256": download.digest, "taken_at": taken_at}
        click.echo(msgspec.json.encode({**found, "seconds": seconds}))
    else:
        click.echo(f"{file} is the mirror as of {taken_at}: {size / 1e6:,.1f} MB, whole, in {seconds:.1f} s.")


class _Download:
    """Receives the copy into a file, shows the progress, and checks that it is whole."""

    def __init__(self, part: Path, line: ProgressLine) -> None:
        self._part = part
        self._line = line
        self._file: BinaryIO
        self._hash = hashlib.sha256()
        self._received = 0

    @property
    def digest(self) -> str:
        """The SHA-256 of the received bytes, in hex."""
        return self._hash.hexdigest()

    async def run(self, client: ControlClient) -> str:
        """Request the copy and store it; return the moment of the copy."""
        with self._part.open("wb") as self._file:
            headers = await watched(client.backup(self._keep), lambda: self._look(client))
            self._file.flush()
            os.fsync(self._file.fileno())
        self._line.show("Checking", self._received // MEGABYTE, unit="MB")
        self._check(headers)
        return headers.get("Rtsd-Taken-At", "")

    async def _look(self, client: ControlClient) -> None:
        """Show how far the daemon's copy is, until its first piece arrives."""
        if not self._received:
            made = await client.backup_progress()
            self._line.show("Copying", made.copied, made.pages, "pages")

    def _keep(self, piece: bytes, size: int) -> None:
        with translated(self._part):
            self._file.write(piece)
        self._hash.update(piece)
        self._received += len(piece)
        self._line.show("Receiving", self._received // MEGABYTE, size // MEGABYTE, "MB")

    def _check(self, headers: Mapping[str, str]) -> None:
        wanted = f"sha-256=:{base64.b64encode(self._hash.digest()).decode()}:"
        if headers.get("Repr-Digest") != wanted:
            raise CorruptDatabase("the copy is not what rtsd sent", "make the backup again")
        check(self._part)


def _require_free(file: Path, *, force: bool) -> None:
    require_free(file, force=force)
    for ending in ("-wal", "-journal", ".lock"):
        if file.with_name(file.name + ending).exists():
            raise UsageError(
                f"{file} looks like a database in use: {file.name}{ending} is beside it.",
                "Name another file.",
            )
