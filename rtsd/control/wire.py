"""Values of the domain as wire types, where several routes need them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rtsd.control import protocol
from rtsd.core.cost import Cost
from rtsd.core.instant import Millis, to_iso
from rtsd.core.problem import Problem
from rtsd.store.journal import Entry
from rtsd.sync.package import PackageState


def iso(moment: Millis | None) -> str | None:
    """Return a moment as text; None stays None."""
    return to_iso(moment) if moment is not None else None


def event(entry: Entry) -> protocol.Event:
    """Return an entry of the journal."""
    note = entry.note
    return protocol.Event(
        seq=entry.seq,
        at=entry.at,
        type=note.type,
        object=note.object,
        id=note.id,
        op=note.op,
        source=note.source,
        outcome=note.outcome,
        changed=list(note.changed) if note.changed is not None else None,
        latency_ms=note.latency_ms,
        message=note.message,
        detail=dict(note.detail) if note.detail is not None else None,
    )


def problems(found: Iterable[Problem]) -> list[protocol.Problem]:
    """Return problems."""
    return [protocol.Problem(what=problem.what, do=problem.do) for problem in found]


def relay(known: PackageState) -> protocol.Relay | None:
    """Return the relay's state; None while it is unknown."""
    found = known.relay
    if found is None:
        return None
    failure = found.failure
    return protocol.Relay(
        status=found.status,
        position=found.position,
        tip=found.tip,
        last_error=found.last_error,
        retries=found.retries,
        user=found.user,
        as_of=to_iso(found.as_of),
        proven_at=iso(known.relayed_at),
        problem=problems([failure])[0] if failure else None,
    )


def estimate(cost: Cost, maxima: Mapping[str, int]) -> protocol.Estimate:
    """Return a price; `maxima` are the daily limits by name."""
    return protocol.Estimate(
        rows=cost.rows,
        api_calls=cost.api_calls,
        api_calls_with_repairs=cost.most_calls,
        bulk_jobs=cost.bulk_jobs,
        mb=round(cost.mb, 2),
        minutes=round(cost.minutes, 2),
        share_of_daily=cost.share_of(maxima),
    )
