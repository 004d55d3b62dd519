"""Usage of the org's limits: the last figures from Salesforce, and our own calls since."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rtsd.core.backoff import pause_ms
from rtsd.core.instant import DAY_MS, Millis
from rtsd.core.quota import API_REQUESTS
from rtsd.store.quota import Usage

SAMPLE_EVERY_MS: Millis = 300_000
"""How far apart samples are that are kept."""
UNDER_WAY_MS: Millis = 60_000
"""How long the most that others were seen to use stands: an answer may miss calls that are under way."""


@dataclass(slots=True)
class _Known:
    """One limit: its allocation when last seen, and how much of it others use."""

    at: Millis
    highest: int
    others: deque[tuple[Millis, int]] = field(default_factory=deque)
    """Falling: the most of the last minute is the first."""
    kept_at: Millis = 0
    """When a sample of it was last kept."""

    def others_use(self) -> int:
        return self.others[0][1]


class OrgUsage:
    """Known limits of the org, by Salesforce's names; a limit that Salesforce never reported is unknown."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._restored = False
        self._probes = 0
        self._probe_at: Millis = 0

    def restore(self, samples: Iterable[Usage]) -> None:
        """Restore the samples of an earlier run, oldest first; figures received meanwhile are newer."""
        if self._restored:
            return
        self._restored = True
        earlier = {
            one.name: _Known(one.at, one.max, deque([(one.at, max(one.used - one.ours, 0))]), one.at)
            for one in samples
        }
        self._known = earlier | self._known
        if API_REQUESTS in earlier:
            self._probe_at = earlier[API_REQUESTS].at + pause_ms(0)

    def saw(self, name: str, used: int, highest: int, ours: int, now: Millis) -> None:
        """Take what Salesforce tells: how much everybody has used, out of how much."""
        known = self._known.setdefault(name, _Known(now, highest))
        known.at, known.highest = now, highest
        others = max(used - ours, 0)
        while known.others and known.others[-1][1] <= others:
            known.others.pop()
        known.others.append((now, others))
        while known.others[0][0] < now - UNDER_WAY_MS:
            known.others.popleft()

    def read_at(self, name: str) -> Millis | None:
        """Time of the last figure for a limit; None: never."""
        known = self._known.get(name)
        return known.at if known else None

    def now_used(self, name: str, ours: int, now: Millis) -> tuple[int, int] | None:
        """How much of a limit is used now, by us and others, and out of how much; None: not known.

        A figure older than a day no longer counts.
        """
        known = self._known.get(name)
        if known is None or now - known.at >= DAY_MS:
            return None
        return known.others_use() + ours, known.highest

    def samples(self, ours: Mapping[str, int], now: Millis) -> list[Usage]:
        """Every known limit as of now."""
        return [
            Usage(name, now, known.highest, known.others_use() + ours.get(name, 0), ours.get(name, 0))
            for name, known in sorted(self._known.items())
        ]

    def due_samples(self, ours: Mapping[str, int], now: Millis, *, refused: bool) -> list[Usage]:
        """Samples to keep now: of figures received since the last one, every few minutes or at a refusal."""
        due = {
            name
            for name, known in self._known.items()
            if known.at > known.kept_at and (refused or now - known.kept_at >= SAMPLE_EVERY_MS)
        }
        return [one for one in self.samples(ours, now) if one.name in due]

    def kept(self, samples: Iterable[Usage]) -> None:
        """Note that samples were stored."""
        for sample in samples:
            self._known[sample.name].kept_at = sample.at

    @property
    def probe_at(self) -> Millis:
        """When a call goes next although it may not: nobody else would tell that others left room again."""
        return self._probe_at

    def may_probe(self, now: Millis) -> bool:
        """Whether it is time for such a call; if so, the next one is later: half a minute, … an hour."""
        if now < self._probe_at:
            return False
        self._probes += 1
        self._probe_at = now + pause_ms(self._probes)
        return True

    def found_room(self, now: Millis) -> None:
        """A call may go by what is known: should that change, the first probe comes soon."""
        self._probes = 0
        self._probe_at = now + pause_ms(0)
