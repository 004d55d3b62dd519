"""Change Data Capture: the change events of each commit.

Facts: Change Data Capture guide, Change Event Message Structure and the considerations. Every commit of a
selected object is captured, whether it fires an Apex trigger or not.
"""

from __future__ import annotations

import difflib
import hashlib
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rtssim.bus.bitmaps import bitmaps
from rtssim.bus.event_bus import LATE_S, Touched
from rtssim.bus.event_schema import ABSENT, HEADER, OVERFLOW, body
from rtssim.schema.model import TEXT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rtssim.bus.channels import Channels
    from rtssim.bus.event_bus import BusEvent, EventBus
    from rtssim.bus.event_schema import EventSchema
    from rtssim.faults import Faults
    from rtssim.interface import Commit, RowChange
    from rtssim.org import Org
    from rtssim.switches import EventSwitches

ORIGIN = "com/salesforce/api/rest/66.0;client=rts-simulator"
NO_RECORD = "000000000000000AAA"
DIFF_FROM = 1_000  # characters of the new value
MODIFIED = "LastModifiedDate"
_AUDIT = frozenset({MODIFIED, "LastModifiedById"})


class ChangeEvents:
    """Publishes the change events of commits."""

    def __init__(
        self, org: Org, bus: EventBus, channels: Channels, faults: Faults, switches: EventSwitches
    ) -> None:
        self._org = org
        self._bus = bus
        self._channels = channels
        self._faults = faults
        self._switches = switches
        self._commits = 0
        org.on_commit(self._on_commit)

    def _on_commit(self, commit: Commit) -> None:
        selected = self._channels.selected()
        changes = _merged(self._captured(c for c in commit.changes if c.object in selected))
        if not changes:
            return
        self._commits += 1
        if sum(len(self._changed(change)) for change in changes) > self._switches.overflow_changes:
            for name in sorted({change.object for change in changes}):
                self._publish(commit, name, OVERFLOW, [NO_RECORD], 1)
            return
        key = str(uuid.uuid4())
        for number, alike in enumerate(self._alike(changes), start=1):
            self._announce(commit, alike, number, key)

    def _captured(self, changes: Iterable[RowChange]) -> list[RowChange]:
        by_trigger = not self._switches.untriggered_edits_raise_events
        return [c for c in changes if c.op != "purge" and (c.fires_trigger or not by_trigger)]

    def announce_conversion(self, name: str) -> None:
        """Announce that a field of an object was converted, for all its records at once."""
        if name in self._channels.selected():
            at = self._org.clock.now()
            prefix = self._org.schema[name].prefix
            header = self._header(name, "GAP_UPDATE", [f"{prefix}*"], int(at.timestamp() * 1000))
            self._bus.publish(name, self._channels.schema(name), {HEADER: header}, Touched())

    # -- one event ----------------------------------------------------------------------------------
    def _announce(self, commit: Commit, alike: Sequence[RowChange], number: int, key: str) -> None:
        first = alike[0]
        if self._faults.hit(("event_lost",), first.object):
            return
        kind, ids = first.op.upper(), [change.id for change in alike]
        if self._faults.hit(("event_gap",), first.object):
            self._publish(commit, first.object, f"GAP_{kind}", ids, 1, key=key)
            return
        schema = self._channels.schema(first.object)
        values: dict[str, Any] = {}
        touched = Touched()
        if kind == "UPDATE" and first.new is not None:
            values, touched = self._update(schema, first)
        elif kind != "DELETE":
            values = body(schema, self._complete(first), {*(first.new or ()), *self._formulas(first)})
        publish = partial(
            self._publish,
            commit,
            first.object,
            kind,
            ids,
            number,
            key=key,
            schema=schema,
            values=values,
            touched=touched,
        )
        late = self._faults.hit(("event_late",), first.object)
        if late is not None:
            self._bus.publish_late(late.number("seconds", LATE_S), publish)
            return
        publish()
        if self._faults.hit(("event_doubled",), first.object):
            publish()

    def _update(self, schema: EventSchema, change: RowChange) -> tuple[dict[str, Any], Touched]:
        old, new = change.old or {}, dict(change.new or {})
        changed = set(self._changed(change))
        if self._switches.modified_date_listed and MODIFIED in new:
            changed.add(MODIFIED)
        diffed = set()
        obj = self._org.schema[change.object]
        for name in changed if self._switches.sends_diffs else ():
            is_text = obj.fields[name].type in TEXT_TYPES
            diff = diff_of(old.get(name), new.get(name)) if is_text else None
            if diff is not None:
                new[name] = diff
                diffed.add(name)
        nulled = frozenset(name for name in changed if new.get(name) is None)
        return body(schema, new, changed), Touched(frozenset(changed), nulled, frozenset(diffed))

    def _formulas(self, change: RowChange) -> list[str]:
        if not self._switches.formulas_ride_along:
            return []
        return [field.name for field in self._org.schema[change.object].fields.values() if field.expression]

    def _complete(self, change: RowChange) -> Mapping[str, Any]:
        """Return a row with its formulas, as the system sees it now."""
        formulas = self._formulas(change)
        if not formulas:
            return change.new or {}
        found = self._org.retrieve(self._org.sync_user, change.object, [change.id], formulas)[0]
        return {**(change.new or {}), **(found or {})}

    def _publish(  # a change event has that many attributes
        self,
        commit: Commit,
        name: str,
        kind: str,
        ids: Sequence[str],
        number: int,
        *,
        key: str = "",
        schema: EventSchema | None = None,
        values: Mapping[str, Any] | None = None,
        touched: Touched | None = None,
    ) -> BusEvent:
        at = int(commit.at.timestamp() * 1000)
        committed = at if self._switches.commit_ms else at // 1000 * 1000
        header = self._header(name, kind, ids, committed)
        header |= {"sequenceNumber": number, "transactionKey": key or str(uuid.uuid4())}
        header["commitUser"] = commit.by
        schema = schema or self._channels.schema(name)
        return self._bus.publish(name, schema, {HEADER: header, **(values or {})}, touched or Touched())

    def _header(self, name: str, kind: str, ids: Sequence[str], committed: int) -> dict[str, Any]:
        return {
            "entityName": name,
            "recordIds": list(ids),
            "changeType": kind,
            "changeOrigin": ORIGIN,
            "transactionKey": str(uuid.uuid4()),
            "sequenceNumber": 1,
            "commitTimestamp": committed,
            "commitNumber": 10_000_000_000 + self._commits,
            "commitUser": self._org.admin.user_id,
        }

    # -- changes ------------------------------------------------------------------------------------
    def _changed(self, change: RowChange) -> list[str]:
        old, new = change.old or {}, change.new or {}
        fields = self._org.schema[change.object].fields
        return [name for name in new if name in fields and name not in ABSENT and old.get(name) != new[name]]

    def _alike(self, changes: Sequence[RowChange]) -> list[list[RowChange]]:
        """Group changes that are the same for several records; leave out updates of no field."""
        groups: dict[object, list[RowChange]] = {}
        for change in changes:
            key: object = (change.object, change.id)
            if change.op == "update":
                changed = self._changed(change)
                if not changed:
                    continue
                new, own = change.new or {}, [name for name in changed if name not in _AUDIT]
                if self._switches.same_changes_merge and own:
                    key = (change.object, tuple((name, str(new.get(name))) for name in own))
            groups.setdefault(key, []).append(change)
        return list(groups.values())


def _merged(changes: Iterable[RowChange]) -> list[RowChange]:
    """Return one change per record: the type of the first, the data of the last.

    A record that was created and deleted leaves none.
    """
    merged: dict[tuple[str, str], RowChange] = {}
    for change in changes:
        key = (change.object, change.id)
        first = merged.get(key)
        if first is None:
            merged[key] = change
        elif change.op == "delete" and first.op == "create":
            del merged[key]
        else:
            op = "delete" if change.op == "delete" else first.op
            merged[key] = replace(change, op=op, old=first.old)
    return list(merged.values())


def diff_of(old: str | None, new: str | None) -> str | None:
    """Return the diff that is sent instead of a long text, or None if the text itself is sent.

    A diff is sent only if the text has at least 1,000 characters, and it is short: at most half the text, and
    a quarter of its lines changed.
    """
    if not old or new is None or len(new) < DIFF_FROM:
        return None
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    lines = list(difflib.unified_diff(before, after))[2:]
    hunks = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    touched = sum(line[0] in "+-" for line in lines)
    if len(hunks) > len(new) // 2 or touched > max(len(after), 1) / 4:
        return None
    return f"--- \n+++ {hashlib.sha256(new.encode()).hexdigest()}\n{hunks}"


def header_for(event: BusEvent, hidden: frozenset[str], switches: EventSwitches) -> dict[str, Any]:
    """Return the header of a change event for a reader who does not see some fields."""
    touched = event.touched or Touched()

    def bits(names: frozenset[str]) -> list[str]:
        return bitmaps(
            event.schema,
            names - hidden,
            lower=switches.bitmaps_lower_case,
            whole_by_parent=switches.compound_by_parent_bit,
        )

    return {
        **event.values[HEADER],
        "nulledFields": bits(touched.nulled),
        "diffFields": bits(touched.diffed),
        "changedFields": bits(touched.changed),
    }
