"""The values of the changes in sight, asked for by the row; no Textual here.

The feed has no values: at its fastest nobody could read them, and twenty thousand entries with them would
not fit into memory. So they are asked for when rows stay in sight, for these rows only.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtsd.control.client import ControlClient, UnknownRoute
from rtsd.control.protocol import ChangeValues
from rtsd.errors import RtsError
from rtstui.clean import scrub

KEPT = 1_000
"""Changes whose values are kept; the ones that came first go first."""

MOST = 100
"""Changes in one request, as many as rtsd answers."""

EVERY_S = 0.5
"""Seconds between two requests, at least."""


class ShownValues:
    """The known values by the number of the entry."""

    def __init__(self) -> None:
        self._known: dict[int, ChangeValues | None] = {}
        self._due_at = 0.0
        self._asking = False
        self._unsupported = False

    def get(self, seq: int) -> ChangeValues | None:
        """Return a change with its values, if they are known."""
        return self._known.get(seq)

    def keep(self, seqs: Sequence[int], found: Sequence[ChangeValues]) -> None:
        """Take in the answer about some entries."""
        self._known |= dict.fromkeys(seqs) | {values.seq: values for values in found}
        for seq in list(self._known)[: max(0, len(self._known) - KEPT)]:
            del self._known[seq]

    def due(self, seqs: Sequence[int], at: float) -> list[int]:
        """Return the entries to ask for now (`at` on any clock in seconds), the newest of them."""
        if self._asking or self._unsupported or at < self._due_at:
            return []
        wanted = [seq for seq in seqs if seq not in self._known][-MOST:]
        if wanted:
            self._asking, self._due_at = True, at + EVERY_S
        return wanted

    async def load(self, seqs: Sequence[int], client: ControlClient) -> bool:
        """Ask rtsd for the values of these entries; False if there is no answer: they are asked for later."""
        try:
            found = await client.event_values(seqs)
        except UnknownRoute:
            self._unsupported = True  # an older rtsd, until it comes back as another
        except RtsError:
            pass  # the link tells what is wrong
        else:
            self.keep(seqs, [scrub(values) for values in found])
            return True
        finally:
            self._asking = False
        return False

    def restart(self, *, forget: bool) -> None:
        """Ask again: rtsd is back; with `forget`, it has another journal."""
        self._unsupported = False
        if forget:
            self._known.clear()
