"""What all numbered views share: the frame around the body, and what stands there before there is data."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen

from rtstui.messages import ViewAsked
from rtstui.widgets.chrome import KeyBar, Notice, Tabs, TopBar, Verdicts
from rtstui.widgets.panel import ROLE_CLASSES, Panel
from rtstui.widgets.welcome import Welcome


class View(Screen[None]):
    """A numbered view. Subclasses give the body."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(ROLE_CLASSES)
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (declared so by Textual)
        (0, "-small"),
        (110, "-medium"),
        (170, "-wide"),
    ]

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next panel", show=False, id="view.next_panel"),
        Binding("shift+tab", "app.focus_previous", "previous panel", show=False, id="view.previous_panel"),
        Binding("super+c", "screen.copy_text", "copy the selected text", show=False, id="view.copy"),
    ]

    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-tall")]  # noqa: RUF012 (declared so by Textual)

    def compose(self) -> ComposeResult:
        """Bars above and below, the body between them."""
        yield TopBar()
        yield Tabs()
        yield Verdicts()
        yield Notice()
        yield Welcome(id="welcome")
        with Container(classes="view--body", id=self.body_id):
            yield from self.body()
        yield KeyBar()

    body_id: ClassVar[str] = ""

    OPENS: ClassVar[frozenset[str]] = frozenset()
    """The tables whose rows enter opens here."""

    def body(self) -> ComposeResult:
        """The view's own panels."""
        raise NotImplementedError

    def tick(self) -> None:
        """Bring every panel up to date. Cheap when nothing changed."""
        if not self.is_mounted:
            return  # shown a moment ago, and its panels are not there yet
        self.prepare()
        welcome = self.query_one(Welcome)
        self.set_class(welcome.state.status is None, "-blank")
        for panel in self.query(Panel):
            panel.tick()

    def prepare(self) -> None:
        """What a view has to know before its panels are painted."""

    def on_screen_resume(self) -> None:
        """A view that was not shown has not been kept up to date."""
        self.tick()

    def on_view_asked(self, message: ViewAsked) -> None:
        """A tab was clicked."""
        message.stop()
        self.app.call_later(self.app.run_action, f"view('{message.view}')")


class Leaf(View):
    """A view whose escape leads to the overview."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.view('1')", "overview", show=False, id="view.back")
    ]
