"""Keys that were typed ahead: each is handled where the one before it has led to.

A view, a dialog and a line to type in take some moments to open. Over a slow connection keys arrive in
bursts, and what was meant for the line would run as commands.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from textual import events
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, TextArea

GIVES_UP_S = 0.5
"""After this time the next key is handled wherever it leads to: what should have answered was closed."""
STABLE = 2
"""Refreshes without a change: the first may come before the app has moved the focus."""


Typed = events.Key | events.Paste


class TypeAheadApp(App[int]):
    """An app whose keys wait until the effects of the one before them are there."""

    def __init__(self, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        self._awaited: Typed | None = None
        """What is handled now: the others wait until its effects are there."""
        self._ahead: deque[Typed] = deque()
        self._last_key = ""

    @property
    def keys_settled(self) -> bool:
        """True if the effects of every key are there."""
        return self._awaited is None

    async def on_event(self, event: events.Event) -> None:
        """Handle a key or a paste, unless it has to wait."""
        if not isinstance(event, Typed) or event.is_forwarded:
            await super().on_event(event)
            return
        if self._awaited is None:
            self._awaited = event
        elif event is not self._awaited:
            self._ahead.append(event)
            return
        leads_on = self._leads_on(event)
        await super().on_event(event)
        if leads_on:
            # Whatever has the focus handles it, and asks the app to move the focus, or to open a screen.
            handler = self.focused or self.screen
            handler.call_later(self._look, event, None, 0)
            self.set_timer(GIVES_UP_S, lambda: self._next(event))
        else:
            self._next(event)

    def pop_screen(self) -> AwaitComplete:
        """Close the uppermost screen; a key that was handled there has had its effect."""
        popped = super().pop_screen()
        if self._awaited is not None:
            self._look(self._awaited, None, 0)
        return popped

    def _leads_on(self, event: Typed) -> bool:
        """Return whether it may open something: not what is typed into a line, nor a key held down."""
        if isinstance(event, events.Paste):
            return False
        repeats, self._last_key = event.key == self._last_key, event.key
        typed = event.is_printable and isinstance(self.focused, Input | TextArea)
        return not (repeats or typed)

    def _look(self, event: Typed, before: tuple[Screen[Any], Widget | None] | None, same: int) -> None:
        """Go on once refreshes have changed neither the screen nor the focus, and somebody has it."""
        if event is not self._awaited:
            return
        now = self.screen, self.focused
        same = same + 1 if now == before and now[1] is not None else 0
        if same == STABLE:
            self._next(event)
        else:
            self.call_later(now[0].call_after_refresh, self._look, event, now, same)

    def _next(self, event: Typed) -> None:
        """Hand over the next one, unless that was done."""
        if event is not self._awaited:
            return
        self._awaited = self._ahead.popleft() if self._ahead else None
        if self._awaited is not None:
            self.post_message(self._awaited)
