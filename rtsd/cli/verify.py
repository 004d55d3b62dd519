"""`rtsd verify`: the proof that the mirror is right, and a certificate of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.estimate import show_price
from rtsd.cli.output import table
from rtsd.cli.progress_line import ProgressLine, watched
from rtsd.control.client import ControlClient
from rtsd.control.protocol import Verification, VerifiedObject
from rtsd.core.certificate import is_intact
from rtsd.errors import UsageError
from rtsd.logs import clean

_HEADERS = ("OBJECT", "STATE", "ROWS", "COUNTED", "CHECKSUMMED", "BROKEN", "REPAIRED", "DRIFT", "AS OF")


@click.command(
    epilog=options.examples(
        "rtsd verify", "rtsd verify --certificate mirror.cert.json", "rtsd verify --check mirror.cert.json"
    )
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a signed statement of the findings.",
)
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Only check a certificate's signature; needs no daemon.",
)
@click.option("--dry-run", is_flag=True, help="Only show the price, for one call per object.")
@options.socket
@options.as_json
def verify(
    *, certificate: Path | None, check: Path | None, dry_run: bool, socket: Path | None, as_json: bool
) -> int:
    """Verify the mirror: its file, its counts, its stored values, and the org's fingerprint.

    A value that changed without a write, such as by a flipped bit, is found from the second time on, and
    fetched from the org. Costs one call per object, more where rows differ. Exit status 1 unless everything
    is right.
    """
    if check is not None:
        return _check(check)
    if dry_run:
        return show_price(ask(socket, lambda client: client.price_verification()), "verify", as_json=as_json)

    async def verified(client: ControlClient) -> Verification:
        rows = {shown.name: shown.rows for shown in (await client.status()).objects}

        async def look() -> None:
            if now := (await client.audits()).verification:
                line.show(now.object, now.rows_checked, rows.get(now.object))

        return await watched(client.verify(certify=certificate is not None), look)

    with ProgressLine(quiet=as_json) as line:
        found = ask(socket, verified)
    if certificate is not None and found.certificate is not msgspec.UNSET:
        certificate.write_bytes(msgspec.json.format(bytes(found.certificate)) + b"\n")
        found.certificate = msgspec.UNSET
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(_lines(found, certificate)))
    return 0 if found.ok else 1


def _check(path: Path) -> int:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (msgspec.DecodeError, OSError) as error:
        raise UsageError(
            f"{path} is not a certificate: {error}", "name the file that verify wrote"
        ) from error
    if not is_intact(document):
        click.echo("The certificate was changed, or was not signed: do not trust it.")
        return 1
    says = "all is well" if document.get("ok") else "not everything was right"
    click.echo(f"Intact: signed by {document['public_key']} at {document.get('at')}: {says}.")
    return 0 if document.get("ok") else 1


def _lines(found: Verification, certificate: Path | None) -> Iterator[str]:
    yield table(_HEADERS, [_row(verified) for verified in found.objects])
    for verified in found.objects:
        if verified.error:
            yield f"{verified.name}: {clean(verified.error)}"
    for fault in found.faults:
        yield f"The file is damaged: {clean(fault)}"
    if found.faults:
        yield "Restore a backup, or move the file away: rtsd then loads the mirror again."
    yield "The mirror is right." if found.ok else "Not everything is right."
    if certificate is not None:
        yield f"The certificate is in {certificate}."


def _row(found: VerifiedObject) -> tuple[str | int | None, ...]:
    counts = (found.rows, found.counted, found.checksummed, found.broken_count, found.repaired)
    drift = found.drift
    differing = None if drift is None else drift.missing + drift.stale + drift.orphaned
    return (found.name, found.state, *counts, differing, found.as_of)
