"""Rows made of change events: whatever comes late, twice, in another order or not at all, they end right.

The model is of `sync.apply` and `sync.repair` together: a read begins with the row's version, sees the org at
some moment, and is applied later, while events go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rtsd.core.change import (
    NEVER,
    UNKNOWN_RECORD,
    Change,
    Operation,
    Outcome,
    Source,
    StoredRecord,
    Version,
    decide,
    version_after,
)
from rtsd.core.instant import from_iso, to_iso
from rtsd.core.privacy import MaskedValues

START = from_iso("2026-03-01T10:00:00.000Z")
ID = "003000000000001AAA"
COLUMNS = ("Id", "A", "B", "Formula", "LastModifiedDate", "SystemModstamp")
UNTOLD = frozenset({"Formula", "LastModifiedDate", "SystemModstamp"})
LAST = START + 60_000
Row = dict[str, str | int | float | None]


def second(at: int) -> str:
    """A moment as Salesforce stamps it."""
    return to_iso(at // 1000 * 1000)


@dataclass(frozen=True)
class Commit:
    """The record after a commit at `at` (ms); `row` is None while it is deleted."""

    at: int
    operation: Operation | None
    """None for what no event tells."""
    row: Row | None
    fields: Row = field(default_factory=dict)
    """What the event tells."""


@dataclass(frozen=True)
class Step:
    """Something that happens at `at`: an event arrives, or a read begins, sees the org, and ends."""

    at: int
    event: Commit | None = None
    reads_until: int = 0


@st.composite
def histories(draw: st.DrawFn) -> list[Commit]:
    """The life of a record, with many commits within a second, and some that no event tells."""
    moments = sorted(draw(st.sets(st.integers(0, 30), min_size=2, max_size=7)))
    history: list[Commit] = []
    for number, moment in enumerate(moments):
        at = START + moment * 100
        before = history[-1].row if history else None
        if before is None and history:
            if draw(st.booleans()):
                break
            back: Row = {**(history[-2].row or {}), "SystemModstamp": second(at)}
            told = {name: back[name] for name in ("A", "B", "LastModifiedDate")}
            history.append(Commit(at, Operation.UNDELETE, back, told))
            continue
        kinds = ["edit", "edit", "edit", "system", "delete"] if history else ["create"]
        kind = draw(st.sampled_from(kinds))
        if kind == "delete":
            history.append(Commit(at, Operation.DELETE, None))
            continue
        row: Row = dict(before or {"Id": ID, "A": None, "B": None, "Formula": 0})
        row["SystemModstamp"] = second(at)
        if kind == "system":
            row["Formula"] = number
            history.append(Commit(at, None, row))
            continue
        changed = draw(st.sets(st.sampled_from(("A", "B")), min_size=1))
        row |= dict.fromkeys(changed, draw(st.sampled_from(["x", "y", None])))
        row["LastModifiedDate"] = second(at)
        row["Formula"] = f"{row['A']}{row['B']}"
        names = ("A", "B") if kind == "create" else tuple(changed)
        fields: Row = {name: row[name] for name in (*names, "LastModifiedDate")}
        history.append(Commit(at, Operation.CREATE if kind == "create" else Operation.UPDATE, row, fields))
    return history


@st.composite
def plays(draw: st.DrawFn) -> tuple[list[Commit], list[Step], bool]:
    """A history, what arrives when, and whether the times of commits are in whole seconds."""
    history = draw(histories())
    steps = []
    for commit in history:
        if commit.operation is not None:
            for _ in range(draw(st.sampled_from([1, 1, 1, 2, 0]))):
                delay = draw(st.sampled_from([1, 20, 40, 300, 900, 2_500]))
                steps.append(Step(commit.at + delay, commit))
    for _ in range(draw(st.integers(0, 4))):
        at = START + draw(st.integers(-3, 60)) * 97
        steps.append(Step(at, None, at + draw(st.sampled_from([1, 60, 250, 1_500]))))
    return history, sorted(steps, key=lambda step: step.at), draw(st.booleans())


class Model:
    """The mirror's row of the record, and the request to fetch it."""

    def __init__(self, history: Sequence[Commit], *, whole_seconds: bool) -> None:
        self.history = history
        self.whole_seconds = whole_seconds
        self.known = UNKNOWN_RECORD
        self.asked = 0
        """The number of the request that waits; 0: none."""
        self.requests = 0

    def org(self, moment: int) -> Commit | None:
        """The record at a moment."""
        return next((commit for commit in reversed(self.history) if commit.at <= moment), None)

    def event(self, commit: Commit) -> None:
        """Apply a change event."""
        at = commit.at // 1000 * 1000 if self.whole_seconds else commit.at
        stamp = second(commit.at)
        fields = None if commit.row is None else MaskedValues({"Id": ID, **commit.fields})
        assert commit.operation is not None
        version = Version(stamp, at, at + 1_000)
        self.take(Change("Contact", ID, commit.operation, Source.PUSH, version, fields, partial=True))

    def read(self, moment: int, expected: Version, source: Source = Source.REPAIR) -> None:
        """Apply a read that saw the org at a moment; one that finds nothing is resolved as a deletion."""
        found, seen = self.org(moment), (moment - 30, moment + 30)
        if found is None:
            return
        if found.row is None:
            version = Version(second(found.at), *seen)
            change = Change("Contact", ID, Operation.DELETE, source, version, expected=expected)
        else:
            version = Version(str(found.row["SystemModstamp"]), *seen)
            fields = MaskedValues(dict(found.row))
            change = Change("Contact", ID, Operation.READ, source, version, fields, expected=expected)
        self.take(change)

    def take(self, change: Change) -> None:
        """Do with a decision as `sync.apply` does."""
        known = self.known
        decision = decide(known, change, len(COLUMNS), UNTOLD)
        writes = decision.outcome is Outcome.APPLIED or decision.confirms
        is_gone = known.row is None or known.deleted
        if writes and change.operation is Operation.DELETE:
            version = (
                change.version if decision.outcome is Outcome.APPLIED else max(known.version, change.version)
            )
            self.known = StoredRecord(version, known.row, deleted=True)
        elif writes and not (is_gone and decision.outcome is Outcome.DUPLICATE):
            version = version_after(known.version, change)
            row = {**(known.row or {}), **(change.fields or {}), "SystemModstamp": version.stamp}
            assert not change.partial or version > known.version
            self.known = StoredRecord(version, row, partial=change.partial)
        if decision.fetch or (decision.complete and self.known.partial):
            self.requests += 1
            self.asked = self.requests

    def check(self) -> None:
        """What holds at every moment: a partial row is to be read."""
        assert not self.known.partial or self.known.deleted or self.asked


@settings(max_examples=60, deadline=None)
@given(plays())
def test_the_row_ends_as_the_orgs(play: tuple[list[Commit], list[Step], bool]) -> None:
    """Reads race with events; once all has come and what was asked for is read, nothing differs."""
    history, steps, whole_seconds = play
    model = Model(history, whole_seconds=whole_seconds)
    pending: list[tuple[int, int, Version, int]] = []

    def finish(until: int) -> None:
        for read in sorted(read for read in pending if read[0] <= until):
            pending.remove(read)
            _, moment, expected, asked = read
            if model.asked == asked:
                model.asked = 0
            model.read(moment, expected)
            model.check()

    for step in steps:
        finish(step.at)
        if step.event is not None:
            model.event(step.event)
            model.check()
        else:
            moment = (step.at + step.reads_until) // 2
            expected = model.known.version if model.known.row or model.known.deleted else NEVER
            pending.append((step.reads_until, moment, expected, model.asked))
    finish(LAST)
    now = LAST
    for _ in range(5):
        if model.asked:
            now += 5_000
            pending.append((now, now, model.known.version, model.asked))
            finish(now)
    assert not model.asked, "a fetch leads to the next for ever"
    assert not model.known.partial or model.known.deleted
    truth = history[-1].row
    heard = {id(step.event) for step in steps if step.event is not None}
    told = [commit for commit in history if commit.operation is not None]
    if all(id(commit) in heard for commit in told[-1:]) and history[-1].operation is not None:
        # the last event came: what it left open was read afterwards
        assert (None if model.known.deleted else model.known.row) == truth
        return
    # a lost event: the fingerprint compares presence and stamp, unless the row was read within that second
    shown = None if model.known.deleted else model.known.row
    settled = shown is not None and model.known.version.seen >= from_iso(str(shown["SystemModstamp"])) + 1_000
    if (
        shown is not None
        and truth is not None
        and settled
        and shown["SystemModstamp"] == truth["SystemModstamp"]
    ):
        assert shown == truth


def test_a_read_that_began_before_an_event_of_the_same_second() -> None:
    """It carries the version that the row had when it began, and must not undo the event."""
    row: Row = dict(zip(COLUMNS, (ID, "x", "b", "xb", second(START), second(START)), strict=True))
    later = {**row, "A": "y", "Formula": "yb"}
    edits = [
        Commit(START + 100, Operation.UPDATE, row, {"A": "x", "LastModifiedDate": second(START)}),
        Commit(START + 500, Operation.UPDATE, later, {"A": "y", "LastModifiedDate": second(START)}),
    ]
    model = Model(edits, whole_seconds=True)
    model.known = StoredRecord(Version(second(START - 9_000), START, START), {**row, "A": "old"})
    model.event(edits[0])
    began, asked = model.known.version, model.asked
    model.event(edits[1])
    assert model.asked != asked
    model.read(START + 300, began)
    assert model.asked, "the row is read again"
    model.asked = 0
    model.read(START + 9_000, model.known.version)
    assert (model.known.row, model.known.partial, model.asked) == (later, False, 0)


def test_what_completes_a_row_is_no_change() -> None:
    """Formula and stamp are filled in; any other difference is a change that no event told."""
    row: Row = dict(zip(COLUMNS, (ID, "x", "b", "xb", second(START), second(START)), strict=True))
    known = StoredRecord(Version(second(START), START, START + 1_000), row, partial=True)
    version = Version(second(START + 2_000), START + 9_000, START + 9_000)
    values = {**row, "Formula": "new", "SystemModstamp": version.stamp}
    read = Change("Contact", ID, Operation.READ, Source.REPAIR, version, MaskedValues(dict(values)))
    completed = decide(known, read, len(COLUMNS), UNTOLD)
    assert (completed.outcome, completed.confirms) == (Outcome.DUPLICATE, True)
    assert set(completed.differing) == {"Formula", "SystemModstamp"}
    changed = replace(read, fields=MaskedValues({**values, "B": "unheard of"}))
    assert decide(known, changed, len(COLUMNS), UNTOLD).outcome is Outcome.APPLIED
    assert decide(replace(known, partial=False), read, len(COLUMNS), UNTOLD).outcome is Outcome.APPLIED


PARTIAL_ROW: Row = dict(zip(COLUMNS, (ID, "x", "b", "xb", second(START), second(START)), strict=True))
PARTIAL = StoredRecord(Version(second(START), START, START + 1_000), PARTIAL_ROW, partial=True)


def at(offset: int, operation: Operation, *, partial: bool = True, **values: str) -> Change:
    """A change of the record so many ms later."""
    moment = START + offset
    version = Version(second(moment), moment, moment + 1_000)
    source = Source.PUSH if partial else Source.REPAIR
    return Change("Contact", ID, operation, source, version, MaskedValues(dict(values)), partial=partial)


def test_an_older_event_leaves_a_partial_row_to_be_read() -> None:
    """The newer one may have left out what this one tells."""
    decision = decide(PARTIAL, at(-5_000, Operation.UPDATE, A="old"), len(COLUMNS), UNTOLD)
    assert (decision.outcome, decision.fetch, decision.complete) == (Outcome.STALE, "", True)


def test_a_create_is_older_than_any_row() -> None:
    """Whatever the mirror has of the record came after it, though within the same second."""
    decision = decide(PARTIAL, at(500, Operation.CREATE, A="first"), len(COLUMNS), UNTOLD)
    assert decision.outcome is Outcome.STALE


def test_an_event_that_changes_nothing_is_noticed_by_a_read_under_way() -> None:
    """It raises the version, or the read, which may be older, would pass for a later one."""
    event = at(0, Operation.UPDATE, A="x")
    decision = decide(PARTIAL, event, len(COLUMNS), UNTOLD)
    assert (decision.outcome, decision.confirms, decision.complete) == (Outcome.DUPLICATE, True, True)
    assert version_after(PARTIAL.version, event) > PARTIAL.version


def test_a_read_without_differences_completes_a_row_at_any_age() -> None:
    """A week later, too, when no other image of that second can come any more."""
    late = at(7 * 86_400_000, Operation.READ, partial=False)
    read = replace(
        late, version=Version(second(START), *late.version[1:]), fields=MaskedValues(dict(PARTIAL_ROW))
    )
    decision = decide(PARTIAL, read, len(COLUMNS), UNTOLD)
    assert (decision.outcome, decision.confirms) == (Outcome.DUPLICATE, True)


def test_a_read_from_before_the_event_leaves_the_row_to_be_read() -> None:
    """As when it was under way while the event came."""
    read = replace(
        at(-5_000, Operation.READ, partial=False), fields=MaskedValues({**PARTIAL_ROW, "A": "old"})
    )
    decision = decide(PARTIAL, read, len(COLUMNS), UNTOLD)
    assert (decision.outcome, decision.complete) == (Outcome.STALE, True)
