"""Navigation: which view is open, what led there, and the way back."""

from __future__ import annotations

from typing import Any

from textual.screen import Screen
from textual.widget import AwaitMount

from rtstui.operator_app import NO_OBJECT, OperatorApp
from rtstui.screens.conditions import ConditionsView
from rtstui.screens.events import Events
from rtstui.screens.find import Find
from rtstui.screens.record import RecordView
from rtstui.screens.view import View


class NavigatingApp(OperatorApp):
    """An app of views, each of which may lead to a row's record, events or conditions."""

    def switch_mode(self, mode: str) -> AwaitMount:
        """Open a view, and leave no prompt open in the one before it."""
        if isinstance(self.screen, View) and mode != self.current_mode:
            self.screen.leave()
        return super().switch_mode(mode)

    def action_view(self, view: str) -> None:
        """Open a numbered view."""
        if not isinstance(self.screen, View):
            return
        self.switch_mode(view)
        if isinstance(self.screen, View):
            self.screen.back_to = "1"

    def action_leave_view(self) -> None:
        """Go back to the view that led here, else to the overview.

        The way back is gone once: views that led to each other would never lead to the overview.
        """
        if isinstance(self.screen, View):
            back_to, self.screen.back_to = self.screen.back_to, "1"
            self.switch_mode(back_to)

    def _lead_to(self, view: str) -> Screen[Any]:
        """Open a view for what was chosen in another one, which keeps its place; return its screen."""
        origin, before = self.screen, self.current_mode
        self.switch_mode(view)
        if isinstance(origin, View) and isinstance(self.screen, View) and view != before:
            origin.stay()
            self.screen.back_to = before
        return self.screen

    def action_events_of(self, name: str) -> None:
        """Open the event view with the entries of an object."""
        self.action_events_matching(f"obj:{name}")

    def action_events_matching(self, words: str) -> None:
        """Open the event view with a filter."""
        screen = self._lead_to("2")
        if isinstance(screen, Events):
            screen.call_later(screen.only, words)

    def action_record(self, name: str | None, record: str) -> None:
        """Open a record; without a name, of the object that has it."""
        screen = self._lead_to("8")
        if isinstance(screen, RecordView):
            screen.call_later(screen.show, name, record)

    def action_find_record(self, text: str = "") -> None:
        """Ask for a record by what is known of it, over any view, and open it; `text` is known already."""
        if isinstance(self.screen, View):
            self.push_screen(Find(self.client, text), self._found)

    def _found(self, chosen: tuple[str, str] | None) -> None:
        if chosen is not None:
            self.action_record(*chosen)

    def action_conditions_of(self) -> None:
        """Open the sync conditions of the chosen object."""
        if (item := self.chosen_object()) is None:
            self.say(NO_OBJECT)
            return
        screen = self._lead_to("6")
        if isinstance(screen, ConditionsView):
            screen.call_later(screen.show, item.name)
