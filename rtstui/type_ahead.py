"""Keys that were typed ahead: each is handled where the one before it has led to.

A view, a dialog and a line to type in take some moments to open. Over a slow connection keys arrive in
bursts, and what was meant for the line would run as commands.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from textual import events
from textual.app import App
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, TextArea

GIVES_UP_S = 0.5
"""After this time the next key is handled wherever it leads to: what should have answered was closed."""
STABLE = 2
"""Refreshes without a change: the first may come before the app has moved the focus."""


class TypeAheadApp(App[int]):
    """An app whose keys wait until the effects of the one before them are there."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._ahead: deque[events.Key] = deque()
        self._released: events.Key | None = None
        self._last_key = ""
        self._turn = 0
        self._follows = False

    @property
    def keys_settled(self) -> bool:
        """True if the effects of every key are there."""
        return not (self._follows or self._ahead or self._released)

    async def on_event(self, event: events.Event) -> None:
        """Handle a key, unless it has to wait."""
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        if event is self._released:
            self._released = None
        elif self._follows or self._released is not None or self._ahead:
            self._ahead.append(event)
            return
        leads_on = self._leads_on(event)
        await super().on_event(event)
        if leads_on:
            self._follow()
        else:
            self._release()

    def _leads_on(self, event: events.Key) -> bool:
        """Return whether the key may open something: not one that is typed into a line, nor one held down."""
        repeats, self._last_key = event.key == self._last_key, event.key
        typed = event.is_printable and isinstance(self.focused, Input | TextArea)
        return not (repeats or typed)

    def _follow(self) -> None:
        """Let the next key go on after the effects of the one just handed over."""
        self._follows = True
        self._turn += 1
        turn = self._turn
        # It is handled by whatever has the focus, which asks the app to move the focus, or to open a screen.
        handler = self.focused or self.screen
        handler.call_later(self._look, turn, None, 0)
        self.set_timer(GIVES_UP_S, lambda: self._settled(turn))

    def _look(self, turn: int, before: tuple[Screen[Any], Widget | None] | None, same: int) -> None:
        """Go on once refreshes have changed neither the screen nor the focus, and somebody has it."""
        if turn != self._turn or not self._follows:
            return
        now = self.screen, self.focused
        same = same + 1 if now == before and now[1] is not None else 0
        if same == STABLE:
            self._settled(turn)
        else:
            self.call_later(now[0].call_after_refresh, self._look, turn, now, same)

    def _settled(self, turn: int) -> None:
        if turn == self._turn and self._follows:
            self._follows = False
            self._release()

    def _release(self) -> None:
        if self._ahead and self._released is None:
            self._released = self._ahead.popleft()
            self.post_message(self._released)
