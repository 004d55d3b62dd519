"""Usage of the org's limits: the last figures from Salesforce, plus our own calls since."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rtsd.core.backoff import pause_ms
from rtsd.core.instant import DAY_MS, Millis
from rtsd.core.quota import API_REQUESTS
from rtsd.store.quota import Usage

SAMPLE_EVERY_MS: Millis = 300_000
"""Minimum time between stored samples."""
IN_FLIGHT_MS: Millis = 60_000
"""The time for which the maximum of others' usage is used, as a figure may miss calls in flight."""


@dataclass(slots=True)
class _Known:
    """One limit: its last known maximum, and others' usage. Times are local, in ms."""

    at: Millis
    highest: int
    others: deque[tuple[Millis, int]] = field(default_factory=deque)
    """(time, others' usage) in descending order of usage: the first is the maximum of the last minute."""
    stored_at: Millis = 0
    """Time of the last stored sample."""

    def others_use(self) -> int:
        return self.others[0][1]


class OrgUsage:
    """The org's limits, by Salesforce's names, as far as Salesforce has reported them."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._restored = False
        self._probes = 0
        self._probe_at: Millis = 0

    def restore(self, samples: Iterable[Usage]) -> None:
        """Restore the samples of the last run, oldest first; figures received since are newer."""
        if self._restored:
            return
        self._restored = True
        earlier = {
            usage.name: _Known(
                usage.at, usage.max, deque([(usage.at, max(usage.used - usage.ours, 0))]), usage.at
            )
            for usage in samples
        }
        self._known = earlier | self._known
        if API_REQUESTS in earlier:
            self._probe_at = earlier[API_REQUESTS].at + pause_ms(0)

    def observe(self, name: str, used: int, highest: int, ours: int, now: Millis) -> None:
        """Record a figure from Salesforce: `used` of `highest` by everybody, of which `ours` by rtsd."""
        known = self._known.setdefault(name, _Known(now, highest))
        known.at, known.highest = now, highest
        others = max(used - ours, 0)
        while known.others and known.others[-1][1] <= others:
            known.others.pop()
        known.others.append((now, others))
        while known.others[0][0] < now - IN_FLIGHT_MS:
            known.others.popleft()

    def read_at(self, name: str) -> Millis | None:
        """Return the time of a limit's last figure (ms); None without one."""
        known = self._known.get(name)
        return known.at if known else None

    def current(self, name: str, ours: int, now: Millis) -> tuple[int, int] | None:
        """Return a limit's current usage, ours and others', and its maximum.

        None if it is unknown, or if its last figure is older than a day.
        """
        known = self._known.get(name)
        if known is None or now - known.at >= DAY_MS:
            return None
        return known.others_use() + ours, known.highest

    def samples(self, ours: Mapping[str, int], now: Millis) -> list[Usage]:
        """Return the current usage of every known limit."""
        return [
            Usage(name, now, known.highest, known.others_use() + ours.get(name, 0), ours.get(name, 0))
            for name, known in sorted(self._known.items())
        ]

    def due_samples(self, ours: Mapping[str, int], now: Millis, *, refused: bool) -> list[Usage]:
        """Return the samples to store: of limits with new figures, every few minutes or at a refusal."""
        due = {
            name
            for name, known in self._known.items()
            if known.at > known.stored_at and (refused or now - known.stored_at >= SAMPLE_EVERY_MS)
        }
        return [usage for usage in self.samples(ours, now) if usage.name in due]

    def stored(self, samples: Iterable[Usage]) -> None:
        """Note that samples were stored."""
        for sample in samples:
            self._known[sample.name].stored_at = sample.at

    @property
    def probe_at(self) -> Millis:
        """The time of the next probe (ms): a call despite the limit, to learn whether usage has expired."""
        return self._probe_at

    def may_probe(self, now: Millis) -> bool:
        """Return whether a probe is due; if so, schedule the next after a growing pause, up to an hour."""
        if now < self._probe_at:
            return False
        self._probes += 1
        self._probe_at = now + pause_ms(self._probes)
        return True

    def reset_probes(self, now: Millis) -> None:
        """Reset the pause between probes, as calls are allowed."""
        self._probes = 0
        self._probe_at = now + pause_ms(0)
