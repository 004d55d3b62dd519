"""The state of one daemon as the dashboard knows it: plain data, no Textual here.

`daemon_link` writes it, widgets read it. It outlives every screen: a view can be rebuilt from it. Strings
are cleaned on the way in (`clean.scrub`), so nothing here can steer a terminal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rtsd.control.protocol import DeadLetter, ErrorEntry, Event, Frame, Snapshot, Status
from rtsd.core.figures import moment
from rtstui.clean import clean, scrub
from rtstui.document_cache import DocumentCache
from rtstui.shown_values import ShownValues

RING = 20_000
"""Journal entries kept for scrolling back."""

MOST_SHARED = 2_000
"""Distinct lists of changed fields that are shared between entries."""

RATE_SECONDS = 300
"""Seconds of event counts that are kept, for the rate and its chart."""

RATE_OVER = 5
"""Seconds that the shown rate averages: steady enough to read, quick enough to be true."""


class Phase(StrEnum):
    """The phase of the connection to the daemon."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    """It was live, and is being restored: the data is outdated."""
    ABSENT = "absent"
    """No daemon has answered on the socket since the start."""
    FORBIDDEN = "forbidden"
    FOREIGN = "foreign"
    """The other end speaks another protocol, or another version of ours."""


@dataclass(slots=True)
class LinkStatus:
    """The connection's phase and its begin, the error, and the next attempt."""

    phase: Phase = Phase.CONNECTING
    since: datetime | None = None
    message: str = ""
    do: str = ""
    attempt: int = 0
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries that are not in the ring: `missed` while disconnected, `unloaded`, or too many to show."""

    count: int
    missed: bool = False
    unloaded: bool = False
    """Whether they are between a page of the journal and the ring."""


Line = Event | Gap


@dataclass(slots=True)
class State:
    """Everything that screens show about one daemon. `rev` moves with every change."""

    now: Callable[[], datetime]
    """The clock (aware, UTC); a parameter, so that pictures of the dashboard repeat."""
    socket: str = ""
    link: LinkStatus = field(default_factory=LinkStatus)
    status: Status | None = None
    status_at: datetime | None = None
    """When a frame last confirmed `status`, changed or not."""
    ring: deque[Line] = field(default_factory=lambda: deque(maxlen=RING))
    newest: int = 0
    """The number of the newest entry received."""
    appended: int = 0
    """Lines ever added to the ring; the ring's first line is number `appended - len(ring)`."""
    unshown: int = 0
    """Entries that never reached the ring since the start of this program."""
    counters: dict[str, int] = field(default_factory=dict)
    errors: list[ErrorEntry] | None = None
    dead_letters: list[DeadLetter] | None = None
    log_error: str = ""
    """Why the error log cannot be read; empty while it can."""
    documents: DocumentCache = field(default_factory=DocumentCache)
    """The documents that views load."""
    values: ShownValues = field(default_factory=ShownValues)
    """The values of the changes in sight."""
    rev: int = 0
    _seconds: dict[int, int] = field(default_factory=dict)
    _changed: dict[tuple[str, ...], list[str]] = field(default_factory=dict)
    """Lists of changed fields, shared by all entries with the same one: they are the bulk of the ring."""

    @property
    def live(self) -> bool:
        """True while the data is current."""
        return self.link.phase is Phase.LIVE

    def fold(self, item: Snapshot | Frame) -> None:
        """Take in a line of the feed."""
        if isinstance(item, Snapshot):
            self._take_status(scrub(item.status))
        else:
            if item.status is not None:
                self._take_status(scrub(item.status))
            self._take_counters(item.counters, len(item.rows) + item.skipped)
            self._take_rows([scrub(event) for event in item.rows], item.seq, item.skipped)
            self.status_at = self.now()
        self.rev += 1

    def backfill(self, events: Sequence[Event], missed: int = 0) -> None:
        """Take in entries from before the feed began; `missed` older ones are not among them."""
        fresh = [scrub(event) for event in events if event.seq > self.newest]
        if missed > 0:
            self._append(Gap(missed, missed=True))
            self.unshown += missed
        for event in fresh:
            self._append(event)
            if (at := moment(event.at)) is not None:
                self._count(int(at.timestamp()), 1)
        if fresh:
            self.newest = max(self.newest, fresh[-1].seq)
        self.rev += 1

    def restart(self) -> None:
        """Clear the journal: the daemon behind the socket has another one."""
        self.ring.clear()
        self.newest = self.appended = self.unshown = 0
        self.counters = {}
        self.values.restart(forget=True)
        self.rev += 1

    def take_log(self, errors: list[ErrorEntry], dead_letters: list[DeadLetter]) -> None:
        """Take in the error log and the dead letters."""
        self.errors = [scrub(entry) for entry in errors]
        self.dead_letters = [scrub(letter) for letter in dead_letters]
        self.log_error = ""
        self.rev += 1

    def relink(
        self,
        phase: Phase,
        message: str = "",
        do: str = "",
        *,
        attempt: int = 0,
        retry_at: datetime | None = None,
    ) -> None:
        """Move the connection to a phase; `since` stays if only the details change."""
        if phase is Phase.LIVE and not self.live:
            self.documents.expire()
            self.values.restart(forget=False)
        since = self.link.since if phase is self.link.phase and self.link.since else self.now()
        self.link = LinkStatus(phase, since, clean(message), clean(do), attempt, retry_at)
        self.rev += 1

    def rate(self) -> float:
        """Return journal entries per second over the last whole seconds, by the time of each entry."""
        second = int(self.now().timestamp())
        return sum(self._seconds.get(second - back, 0) for back in range(1, RATE_OVER + 1)) / RATE_OVER

    def rates(self, seconds: int) -> list[float]:
        """Return the journal entries in each of the last whole seconds, oldest first."""
        second = int(self.now().timestamp())
        return [float(self._seconds.get(second - back, 0)) for back in range(seconds, 0, -1)]

    def _take_status(self, status: Status) -> None:
        self.status = status
        self.status_at = self.now()

    def _take_counters(self, counters: dict[str, int], in_frame: int) -> None:
        new, old = _total(counters), _total(self.counters)
        # Without earlier counters to compare with, or after a restart, only this frame counts.
        happened = new - old if self.counters and new >= old else in_frame
        self.counters = {clean(name): number for name, number in counters.items()}
        self._count(int(self.now().timestamp()), happened)

    def _count(self, second: int, happened: int) -> None:
        self._seconds[second] = self._seconds.get(second, 0) + happened
        while len(self._seconds) > RATE_SECONDS:
            del self._seconds[next(iter(self._seconds))]

    def _take_rows(self, events: list[Event], seq: int, skipped: int) -> None:
        fresh = sorted((event for event in events if event.seq > self.newest), key=lambda event: event.seq)
        upto = fresh[0].seq - 1 if fresh else seq
        # `skipped` may count entries of a backfill.
        missing = min(skipped, max(0, upto - self.newest))
        if missing:
            self.unshown += missing
            self._append(Gap(missing))
        for event in fresh:
            self._append(event)
        self.newest = max(self.newest, seq, fresh[-1].seq if fresh else 0)

    def _append(self, line: Line) -> None:
        if isinstance(line, Event) and line.changed is not None:
            if len(self._changed) > MOST_SHARED:
                self._changed.clear()
            line.changed = self._changed.setdefault(tuple(line.changed), line.changed)
        self.ring.append(line)
        self.appended += 1


def _total(counters: dict[str, int]) -> int:
    """Return the number of all entries: counters with a dot only divide the changes by source."""
    return sum(number for name, number in counters.items() if "." not in name)
