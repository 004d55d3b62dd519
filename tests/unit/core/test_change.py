"""The ordering rule against a history that is known: whatever arrives how, the record ends as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rtsd.core.change import (
    UNKNOWN_RECORD,
    Change,
    Decision,
    Operation,
    Outcome,
    Source,
    StoredRecord,
    Version,
    decide,
)
from rtsd.core.instant import from_iso, to_iso
from rtsd.core.privacy import MaskedValues

START = from_iso("2026-03-01T10:00:00.000Z")
COLUMNS = ("Id", "Name", "Note", "SystemModstamp")
ID = "003000000000001AAA"


@dataclass(frozen=True)
class State:
    """How the record stood from `at` on; `values` is None while it is deleted."""

    at: int
    operation: Operation
    values: dict[str, str | int | None] | None

    @property
    def stamp(self) -> str:
        """SystemModstamp: whole seconds."""
        return to_iso(self.at // 1000 * 1000)


def state_at(history: Sequence[State], moment: int) -> State:
    """The state that a read at `moment` shows."""
    return [state for state in history if state.at <= moment][-1]


def image(
    state: State,
    source: Source,
    seen: tuple[int, int],
    *,
    operation: Operation | None = None,
    keep: Sequence[str] = COLUMNS,
) -> Change:
    """A change that shows `state`; a deleted record has no fields."""
    if state.values is None:
        return Change("Contact", ID, Operation.DELETE, source, Version(state.stamp, *seen))
    fields = MaskedValues({name: state.values[name] for name in keep})
    named = Operation.READ if source is not Source.PUSH else operation or state.operation
    return Change("Contact", ID, named, source, Version(state.stamp, *seen), fields)


@st.composite
def histories(draw: st.DrawFn) -> list[State]:
    """The life of a record: edits, deletions and undeletions, many of them within one second."""
    moments = sorted(draw(st.sets(st.integers(0, 19), min_size=1, max_size=6)))
    history: list[State] = []
    for number, moment in enumerate(moments):
        at = START + moment * 100
        if not history:
            operation = Operation.CREATE
        elif history[-1].values is None:
            operation = Operation.UNDELETE
        else:
            operation = draw(st.sampled_from([Operation.UPDATE, Operation.UPDATE, Operation.DELETE]))
        values: dict[str, str | int | None] | None = None
        if operation is not Operation.DELETE:
            last = next((state.values for state in reversed(history) if state.values), None)
            name = draw(st.sampled_from(["a", "b", None]))
            note = number if operation is not Operation.UNDELETE or last is None else last["Note"]
            values = {"Id": ID, "Name": name, "Note": note}
            values["SystemModstamp"] = to_iso(at // 1000 * 1000)
        history.append(State(at, operation, values))
    return history


@st.composite
def pushes_only(draw: st.DrawFn) -> tuple[list[State], list[Change]]:
    """Every push of a history, each read back at its commit, in any order, some of them twice."""
    history = draw(histories())
    pushes = [image(state, Source.PUSH, (state.at, state.at)) for state in history]
    twice = draw(st.lists(st.sampled_from(pushes), max_size=3))
    return history, draw(st.permutations(pushes + twice))


def _differ(before: State | None, state: State, name: str) -> bool:
    """Whether an event changed a field; one that brings the record back changed them all."""
    if before is None or before.values is None or state.values is None:
        return True
    return before.values[name] != state.values[name]


@st.composite
def all_sources(draw: st.DrawFn) -> tuple[list[State], list[Change]]:
    """Pushes, late ones, partial and bare ones too, among reads whose moment is known to a second or so."""
    history = draw(histories())
    found: list[Change] = []
    for before, state in zip([None, *history], history, strict=False):
        shape = draw(st.sampled_from(["whole", "whole", "late", "partial", "bare", "quiet"]))
        push = image(state, Source.PUSH, (state.at, state.at))
        if shape == "late":
            read_at = state.at + draw(st.integers(0, 1_500))
            shown = state_at(history, read_at)
            if state.values is not None and shown.values is not None:
                push = image(shown, Source.PUSH, (read_at, read_at), operation=state.operation)
            else:
                bare = replace(push, fields=None, version=Version(state.stamp, read_at, read_at))
                push = bare
        elif shape == "partial" and push.fields is not None:
            edited = {name for name in ("Name", "Note") if _differ(before, state, name)}
            kept = edited | draw(st.sets(st.sampled_from(("Name", "Note"))))
            fields = {name: push.fields[name] for name in ("Id", *sorted(kept), "SystemModstamp")}
            push = replace(push, fields=MaskedValues(fields))
        elif shape == "bare":
            push = replace(push, fields=None)
        elif shape == "quiet":  # nothing pushed it: a read saw it, some ms later
            seen = (state.at - draw(st.integers(0, 1_200)), state.at + draw(st.integers(50, 1_200)))
            push = image(state, draw(st.sampled_from([Source.INTERVAL, Source.AUDIT])), seen)
        found.append(push)
    for _ in range(draw(st.integers(0, 4))):
        moment = START + draw(st.integers(history[0].at - START, 3_000))
        seen = (moment - draw(st.integers(0, 1_200)), moment + draw(st.integers(0, 1_200)))
        source = draw(st.sampled_from([Source.INTERVAL, Source.AUDIT, Source.REPAIR]))
        found.append(image(state_at(history, moment), source, seen))
    found += draw(st.lists(st.sampled_from(found), max_size=3))
    return history, draw(st.permutations(found))


def take(known: StoredRecord, change: Change) -> tuple[StoredRecord, Decision]:
    """The model of what `sync.apply` does with a decision."""
    decision = decide(known, change, len(COLUMNS))
    if decision.outcome is Outcome.DUPLICATE and decision.confirms:
        partial = len(change.fields or {}) < len(COLUMNS)
        version = max(known.version, change.version)
        return StoredRecord(version, known.row, known.deleted or known.row is None, partial), decision
    if decision.outcome is not Outcome.APPLIED:
        return known, decision
    if change.operation is Operation.DELETE:
        return StoredRecord(change.version, known.row, deleted=True), decision
    fields = dict(change.fields or {})
    row = {**(known.row or {}), **fields, "SystemModstamp": change.version.stamp}
    return StoredRecord(change.version, row, partial=len(fields) < len(COLUMNS)), decision


def settle(changes: Sequence[Change], truth: State) -> tuple[StoredRecord, int]:
    """Take changes in order, then fetch as often as is asked for; return the end, and how often."""
    known, wanted, fetches = UNKNOWN_RECORD, False, 0
    for change in changes:
        known, decision = take(known, change)
        wanted = wanted or bool(decision.fetch)
    moment = START + 3_000
    while wanted:
        moment += 1_000
        fetches += 1
        known, decision = take(known, image(truth, Source.REPAIR, (moment - 300, moment + 1_000)))
        wanted = bool(decision.fetch)
        assert fetches < 10, "a fetch leads to the next for ever"
    return known, fetches


def shown(known: StoredRecord) -> dict[str, str | int | float | None] | None:
    """What the mirror shows of a record."""
    return None if known.deleted or known.row is None else dict(known.row)


@settings(max_examples=300)
@given(pushes_only())
def test_every_order_of_pushes_ends_at_the_newest(case: tuple[list[State], list[Change]]) -> None:
    """Charter 14: full images in any order, some twice, end as the newest one says."""
    history, arrivals = case
    known, _ = settle(arrivals, history[-1])
    assert shown(known) == history[-1].values


@settings(max_examples=500)
@given(all_sources())
def test_every_mix_of_sources_ends_equal_to_the_org(case: tuple[list[State], list[Change]]) -> None:
    """Charter 13, 14, 16: late, partial, bare, doubled and overlapping observations end as the org stands."""
    history, arrivals = case
    known, _ = settle(arrivals, history[-1])
    assert shown(known) == history[-1].values


@given(histories())
def test_edits_alone_need_no_call(history: list[State]) -> None:
    """Steady state costs nothing: without deletions, whole pushes in any order lead to no fetch."""
    edits = [state for state in history if state.values is not None]
    if len(edits) < len(history):
        return
    pushes = [image(state, Source.PUSH, (state.at, state.at)) for state in history]
    for order in (pushes, pushes[::-1], pushes[1:] + pushes[:1]):
        known, fetches = settle(order, history[-1])
        assert (shown(known), fetches) == (history[-1].values, 0)


def edit(at: int, **values: str | None) -> State:
    """The record, edited `at` ms after the start."""
    row = {"Id": ID, "Name": None, "Note": None, **values}
    row["SystemModstamp"] = to_iso((START + at) // 1000 * 1000)
    return State(START + at, Operation.UPDATE, dict(row))


def pushed(state: State, **changes: object) -> Change:
    """Its push, read back at once."""
    return replace(image(state, Source.PUSH, (state.at, state.at)), **changes)


def gone(at: int) -> State:
    """The record, deleted `at` ms after the start."""
    return State(START + at, Operation.DELETE, None)


def test_two_edits_in_one_second_end_with_the_later() -> None:
    """Ordering by SystemModstamp alone would keep whichever came first."""
    first, second = edit(100, Name="first"), edit(900, Name="second")
    assert first.stamp == second.stamp
    for order in permutations([pushed(first), pushed(second)]):
        known, fetches = settle(order, second)
        assert (shown(known), fetches) == (second.values, 0)


def test_a_reverted_edit_in_one_second_stays_reverted() -> None:
    """a, b, a in one second: the second a says nothing new, but an image of b after it is old."""
    states = [edit(100, Name="a"), edit(200, Name="b"), edit(300, Name="a")]
    for order in permutations(pushed(state) for state in states):
        assert shown(settle(order, states[-1])[0]) == states[-1].values


def test_ac_26_a_late_update_never_revives_a_deleted_record() -> None:
    """Whatever is older than the deletion leaves the tombstone alone, without a call."""
    old, update, deletion = edit(0, Name="old"), edit(1_500, Name="late"), gone(3_000)
    for order in permutations([pushed(old), pushed(update), pushed(deletion)]):
        known, fetches = settle(order, deletion)
        assert (known.deleted, fetches) == (True, 0)


def test_an_update_of_a_deleted_record_is_asked_about_not_believed() -> None:
    """A newer update means an undeletion that was missed: only the org can tell."""
    known, _ = take(UNKNOWN_RECORD, pushed(gone(0)))
    after, decision = take(known, pushed(edit(5_000, Name="x")))
    assert (decision.outcome, after.deleted) == (Outcome.UNKNOWN, True)
    assert "deleted in the mirror" in decision.fetch


def test_deleted_undeleted_and_deleted_within_a_second_stays_deleted() -> None:
    """The second deletion says nothing new of the tombstone, yet makes the undeletion between them old."""
    life = [edit(0, Name="a"), gone(2_100)]
    back = dataclasses.replace(edit(2_300, Name="a"), operation=Operation.UNDELETE)
    end = gone(2_500)
    for order in permutations([pushed(state) for state in (*life, back, end)]):
        assert settle(order, end)[0].deleted


def test_an_edit_and_a_deletion_whose_order_cannot_be_told_are_asked_about() -> None:
    """The delete log was read in a second that overlaps the edit's: the deletion must not be dropped."""
    known, _ = take(UNKNOWN_RECORD, pushed(edit(500, Name="a")))
    listed = image(gone(700), Source.INTERVAL, (START + 200, START + 1_900))
    assert take(known, listed)[1].fetch


def test_two_images_whose_order_cannot_be_told_are_asked_about() -> None:
    """A push and a Bulk row of one second that overlap: the better guess is applied, and the org is asked."""
    push = pushed(edit(500, Name="pushed"))
    row = image(edit(600, Name="read"), Source.AUDIT, (START + 300, START + 1_900))
    for order in ([push, row], [row, push]):
        known, _ = take(UNKNOWN_RECORD, order[0])
        assert take(known, order[1])[1].fetch


def test_a_row_read_while_it_was_deleted_is_asked_about() -> None:
    """A Bulk row of the second in which a record was deleted may be from before or after."""
    known, _ = take(UNKNOWN_RECORD, pushed(gone(500)))
    row = image(edit(100, Name="a"), Source.INTERVAL, (START + 200, START + 1_900))
    assert take(known, row)[1].fetch


def test_ac_24_a_partial_change_keeps_what_it_does_not_name() -> None:
    """A missing key keeps its value, it never becomes NULL."""
    known, _ = take(UNKNOWN_RECORD, pushed(edit(0, Name="a", Note="n")))
    after, _ = take(known, pushed(edit(2_000, Name="b"), fields={"Id": ID, "Name": "b"}))
    assert (shown(after) or {})["Note"] == "n"
    assert (shown(after) or {})["Name"] == "b"


def test_an_older_image_after_a_partial_one_is_not_lost() -> None:
    """What it changed may be just what the partial one left out: the record is fetched."""
    known, _ = take(UNKNOWN_RECORD, pushed(edit(0, Name="a", Note="old")))
    known, _ = take(known, pushed(edit(4_000, Name="b"), fields={"Id": ID, "Name": "b"}))
    assert take(known, pushed(edit(2_000, Name="a", Note="new")))[1].fetch


def test_changes_that_carry_too_little_are_fetched() -> None:
    """A partial change of an unknown record, a bare one, and one without a version ask the org."""
    state = edit(0, Name="a")
    partial = pushed(state, fields={"Id": ID, "Name": "a"})
    bare = pushed(state, fields=None)
    undated = pushed(state, version=Version("", state.at, state.at))
    for change in (partial, bare, undated):
        assert take(UNKNOWN_RECORD, change)[1].fetch
    known, _ = take(UNKNOWN_RECORD, pushed(state))
    newer = edit(5_000, Name="b")
    for change in (pushed(newer, fields=None), pushed(newer, version=Version("", newer.at, newer.at))):
        assert take(known, change)[1].fetch, "a change without a version was dropped"


def test_a_deletion_that_does_not_say_when_is_asked_about() -> None:
    """Without a stamp it cannot be ordered."""
    known, _ = take(UNKNOWN_RECORD, pushed(edit(0, Name="a")))
    _, decision = take(known, pushed(gone(9_000), version=Version("", START, START)))
    assert decision.outcome is Outcome.DEFERRED
    assert decision.fetch
