"""`rtsd audit`: compare with the org, and repair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.estimate import show_price, sum_of
from rtsd.cli.output import table
from rtsd.cli.progress_line import ProgressLine, watched
from rtsd.control.client import ControlClient
from rtsd.control.protocol import AuditedObject, AuditResult, Priced

_HEADERS = ("OBJECT", "CHECKED", "MISSING", "STALE", "ORPHANED", "REPAIRED", "CALLS", "JOBS", "SECONDS")


@click.command(epilog=options.examples("rtsd audit Contact", "rtsd audit --full --dry-run"))
@click.argument("objects", nargs=-1, metavar="[OBJECT…]")
@click.option("--full", is_flag=True, help="Read every row again, through the Bulk API.")
@click.option(
    "--accept-missing",
    is_flag=True,
    help="With --full: delete every row that the org does not show, however many.",
)
@click.option("--dry-run", is_flag=True, help="Only show the price: one to three calls per object.")
@options.socket
@options.as_json
def audit(
    *,
    objects: Sequence[str],
    full: bool,
    accept_missing: bool,
    dry_run: bool,
    socket: Path | None,
    as_json: bool,
) -> int:
    """Compare objects with the org and repair the differences.

    Counts per stamp bucket are compared first, which costs a few calls and reads no rows; only rows that
    differ are fetched. Without OBJECT, every mirrored object. Waits for the end; exit status 1 if not
    everything that was found is repaired.
    """

    async def names(client: ControlClient) -> list[str]:
        every = list(objects) or [shown.name for shown in (await client.status()).objects]
        return list(dict.fromkeys(every))

    async def price_each(client: ControlClient) -> list[Priced]:
        return [await client.price_audit(name, full=full) for name in await names(client)]

    async def audit_each(client: ControlClient) -> list[AuditResult]:
        wanted = await names(client)
        rows = {shown.name: shown.rows for shown in (await client.status()).objects}
        results = []
        for place, name in enumerate(wanted, 1):
            title = f"{name} ({place} of {len(wanted)})"

            async def look(name: str = name, title: str = title) -> None:
                for running in (await client.audits()).running:
                    if running.object == name:
                        line.show(title, running.rows_read, rows.get(name))

            audited = client.audit(name, full=full, accept_missing=accept_missing)
            results.append(await watched(audited, look))
        return results

    if accept_missing and not full:
        raise click.UsageError("--accept-missing goes with --full: only a full read shows what is missing.")
    if dry_run:
        return show_price(sum_of(ask(socket, price_each)), "audit", as_json=as_json)
    with ProgressLine(quiet=as_json) as line:
        results = ask(socket, audit_each)
    return _show_result(results, as_json=as_json)


def _show_result(results: Sequence[AuditResult], *, as_json: bool) -> int:
    audited = [found for result in results for found in result.objects]
    calls = sum(result.api_calls for result in results)
    if as_json:
        click.echo(msgspec.json.encode(AuditResult(objects=audited, api_calls=calls)))
    else:
        click.echo(table(_HEADERS, [_row(found) for found in audited]))
    incomplete = [found for found in audited if found.state != "live"]
    for found in incomplete:
        why = f": {found.error}" if found.error else ""
        click.echo(f"{found.name} is {found.state}{why}", err=True)
    return 1 if incomplete or any(sum(_counts(found)) > found.repaired for found in audited) else 0


def _counts(found: AuditedObject) -> tuple[int, int, int]:
    """Missing, stale, orphaned: the lists end at 1,000 ids; an older daemon has no counts."""
    return (
        max(found.missing_count, len(found.missing)),
        max(found.stale_count, len(found.stale)),
        max(found.orphaned_count, len(found.orphaned)),
    )


def _row(found: AuditedObject) -> tuple[str | int | None, ...]:
    spent = (found.api_calls, found.bulk_jobs, f"{found.seconds:.1f}")
    return (found.name, found.checked, *_counts(found), found.repaired, *spent)
