"""The proof that the mirror is right: each object's drift at its last check, and the findings of audits."""

from __future__ import annotations

from collections.abc import Mapping

from rtsd.control.protocol import Audits, Event, Object, RunningAudit
from rtsd.control.verdict import drift_of, is_proven, repaired_by_check
from rtsd.core.figures import UNKNOWN, age, count, day_clock, span
from rtsd.core.plural import plural
from rtstui import documents
from rtstui.clean import clean
from rtstui.document_cache import CachedDocument
from rtstui.format import fit, right
from rtstui.meaning import tag
from rtstui.rows import Row
from rtstui.verdict import sign_of
from rtstui.widgets.document_table import DocumentTable
from rtstui.widgets.objects import Objects, unchecked
from rtstui.widgets.panel import Panel

WIDE = 100
"""Width in cells from which there is room for long object names."""


def audits_of(panel: Panel) -> CachedDocument[Audits]:
    """The audits under way, and the findings."""
    return panel.load(documents.audits())


def running(panel: Panel) -> dict[str, RunningAudit]:
    """The audits under way, by object."""
    document = audits_of(panel)
    return {audit.object: audit for audit in document.value.running} if document.value else {}


class Drift(Objects):
    """One line per object: its proof, and the findings of its last check. The keys are those of an object."""

    def titles(self) -> tuple[str, str]:
        """The number of objects that are proven, and of records that differ."""
        status = self.state.status
        if status is None:
            return "Drift", ""
        wrong = sum(drift_of(item) for item in status.objects)
        proven = sum(is_proven(item) for item in status.objects)
        differing = plural(wrong, "record", "differ")
        said = f"{proven} of {plural(len(status.objects), 'object')} proven · {differing}"
        part = self.part(self.keys()).removesuffix(" of ")
        return "Drift, by object", f"{part} · {said}" if part else said

    def header(self, width: int) -> Row:
        """The columns' names; unwatched are changes in fields that no sync condition watches."""
        name = 28 if width >= WIDE else 16
        titles = f"{fit('OBJECT', name)} {'STATE':<12} {'MISSING':>8} {'STALE':>7} {'ORPHAN':>7}"
        return ((f"{titles} {'UNWATCHED':>9}  CHECKED", "head"),)

    def row(self, key: str, width: int) -> Row:
        """One object."""
        item = self.find(key)
        if item is None:
            return ((key, "dim"),)
        sign, found = sign_of(item), item.drift
        known = found is not None and found.checked_at is not None
        wrong = "warn" if drift_of(item) else "dim"
        numbers = (found.missing, found.stale, found.orphaned) if found and known else (None,) * 3
        name = 28 if width >= WIDE else 16
        return (
            (fit(item.name, name) + " ", "bold"),
            (fit(sign.text, 12) + " ", sign.role),
            *(
                (right(count(number), size) + " ", wrong)
                for number, size in zip(numbers, (8, 7, 7), strict=True)
            ),
            (right(count(found.held_back) if found and known else UNKNOWN, 9) + "  ", "dim"),
            *self._checked(item),
        )

    def _checked(self, item: Object) -> Row:
        audit = running(self).get(item.name)
        if audit is not None:
            how = "by Bulk" if audit.job else "by REST"
            left = f", eta {span(item.eta_s)}" if item.eta_s is not None else ""
            return ((f"◐ reading {how}, {plural(audit.rows_read, 'row')}{left}", "busy"),)
        if item.drift is None or item.drift.checked_at is None:
            return ((unchecked(item, self), "dim"),)
        repaired = ", repaired" if not drift_of(item) and repaired_by_check(item) else ""
        return ((f"{age(item.drift.checked_at, self.state.now())} ago{repaired}", "dim"),)


class Findings(DocumentTable[Audits, Event]):
    """The findings of audits, fingerprints and repairs, newest last."""

    NEWEST_LAST = True

    def document(self) -> CachedDocument[Audits]:
        """The audits under way, and the findings."""
        return audits_of(self)

    def entries_of(self, value: Audits) -> Mapping[str, Event]:
        """The findings by their numbers."""
        return {str(event.seq): event for event in reversed(value.findings)}

    def nothing(self, value: Audits) -> str:  # noqa: ARG002
        """There are none yet."""
        return "No audit has found or done anything yet. A on an object checks it now."

    def titles(self) -> tuple[str, str]:
        """The number of entries, once they are loaded."""
        document, keys = self.document(), self.keys()
        if document.value is None:
            return "Audits and repairs", ""
        number = self.part(keys) + plural(len(keys), "entry")
        return self.dated("Audits and repairs"), documents.as_of(document, self.state) + number

    def row(self, key: str, width: int) -> Row:
        """One finding on a line."""
        event = self.entries()[key]
        now, sign = self.state.now(), tag(event)
        when = f"{age(event.at, now):>5} " if self.ages else f"{day_clock(event.at, now, zone=False):>11} "
        return (
            (when, "dim"),
            (sign.word.ljust(6) + " ", sign.role),
            (fit(event.object or "", 20 if width >= WIDE else 12) + " ", "bold"),
            (event.message or "", ""),
        )

    def full(self, key: str) -> list[Row]:
        """A finding in full: its text, and the records that it names."""
        event = self.entries()[key]
        rows: list[Row] = [
            ((f"{day_clock(event.at, self.state.now())} · entry {event.seq} · {event.type}", "dim"),),
            (),
        ]
        rows.append(((event.message or "", ""),))
        for name, value in (event.detail or {}).items():
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows += [(), ((name, "head"),), ((clean(text) or "none", ""),)]
        return rows
