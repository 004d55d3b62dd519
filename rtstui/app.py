"""The application: views, keys, clock ticks and the exit. Its data is in `state`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from rich.segment import Segments
from rich.traceback import Traceback
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from rtstui import collector
from rtstui.ascii_filter import AsciiFilter
from rtstui.clusters import mate_of, node_of
from rtstui.contrast import BLACK
from rtstui.daemon_link import DaemonLink
from rtstui.navigation import NavigatingApp
from rtstui.pace import Pace
from rtstui.palette import title_of
from rtstui.replay import Replay
from rtstui.replies import Replies, Reply
from rtstui.screens.action_log import ActionLog
from rtstui.screens.audits import AuditsView
from rtstui.screens.conditions import ConditionsView
from rtstui.screens.dialogs import Help
from rtstui.screens.events import Events
from rtstui.screens.orgs import Orgs
from rtstui.screens.query import QueryView
from rtstui.screens.record import RecordView
from rtstui.screens.rules import RulesView
from rtstui.screens.service import ServiceView
from rtstui.screens.view import View
from rtstui.screens.views import Errors, ObjectsView, Overview, QuotaView
from rtstui.settings import Preset
from rtstui.story import Story
from rtstui.themes import DARK, MONO, THEMES, role_colours
from rtstui.widgets.chrome import VIEWS, bindings_elsewhere
from rtstui.widgets.stream import Stream

HZ = 10
"""Ticks per second: as many as the eye follows, and a tenth of the rate that a terminal can take."""

NEVER: tuple[int, int, list[Reply]] = (-1, -1, [])
"""What was painted last, if nothing was."""

QUIT_WITHIN = timedelta(seconds=2)
"""The time in which ctrl+c is pressed again."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class RtsTui(NavigatingApp):
    """The dashboard over one or more daemons, one of which is shown."""

    TITLE = "rtstui"
    CSS_PATH = "rtstui.tcss"
    MODES: ClassVar[dict[str, str | Any]] = {
        "1": Overview,
        "2": Events,
        "3": ObjectsView,
        "4": Errors,
        "5": QuotaView,
        "6": ConditionsView,
        "7": AuditsView,
        "8": RecordView,
        "9": RulesView,
        "0": QueryView,
        "S": ServiceView,
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "view('1')", "Overview", show=False, id="app.view_1"),
        Binding("2", "view('2')", "Events", show=False, id="app.view_2"),
        Binding("3", "view('3')", "Objects", show=False, id="app.view_3"),
        Binding("4", "view('4')", "Errors", show=False, id="app.view_4"),
        Binding("5", "view('5')", "Quota", show=False, id="app.view_5"),
        Binding("6", "view('6')", "Conditions", show=False, id="app.view_6"),
        Binding("7", "view('7')", "Audits", show=False, id="app.view_7"),
        Binding("8", "view('8')", "Record", show=False, id="app.view_8"),
        Binding("9", "view('9')", "Rules", show=False, id="app.view_9"),
        Binding("0", "view('0')", "SQL", show=False, id="app.view_0"),
        Binding("S", "view('S')", "Service", show=False, id="app.view_S"),
        Binding("r", "reconnect", "try now", id="app.reconnect"),
        Binding("ctrl+f", "find_record", "find a record", id="app.find", priority=True),
        Binding("ctrl+o", "orgs", "orgs", id="app.orgs"),
        Binding("L", "actions", "action log", id="app.actions"),
        Binding("m", "mask", "mask values", show=False, id="app.mask"),
        Binding("t", "ages", "clock or age", show=False, id="app.ages"),
        Binding("z", "zoom", "zoom the panel", show=False, id="app.zoom"),
        Binding("w", "save", "save to a file", show=False, id="app.save"),
        Binding("comma", "skip(-10)", "10 s back", id="app.back"),
        Binding("full_stop", "skip(10)", "10 s on", id="app.on"),
        Binding("less_than_sign", "skip(-60)", "a minute back", show=False, id="app.minute_back"),
        Binding("greater_than_sign", "skip(60)", "a minute on", show=False, id="app.minute_on"),
        Binding("p", "play", "play or stop", id="app.play"),
        Binding("ctrl+t", "next_theme", "next theme", show=False, id="app.next_theme"),
        Binding("ctrl+l", "redraw", "redraw", show=False, id="app.redraw"),
        Binding("question_mark,f1", "help", "help", id="app.help", key_display="?", system=True),
        Binding(
            "colon,ctrl+p", "command_palette", "commands", id="app.palette", key_display=":", system=True
        ),
        Binding("q,ctrl+q", "quit", "quit", id="app.quit", system=True),
        Binding("ctrl+c", "copy_or_quit", "copy, or twice: quit", show=False, id="app.copy", priority=True),
    ]

    def __init__(
        self,
        links: Sequence[DaemonLink],
        *,
        read_only: bool = False,
        view: str = "1",
        ascii_only: bool = False,
        fps: int | None = None,
        warnings: Sequence[str] = (),
        farewell: str = "",
        story: Story | None = None,
        replay: Replay | None = None,
        presets: Mapping[str, Preset] | None = None,
        begin: str | None = None,
    ) -> None:
        self.no_colours = "NO_COLOR" in os.environ
        super().__init__(ansi_color=True if self.no_colours else None)
        self._ascii_only = ascii_only
        if ascii_only:
            self._filters.append(AsciiFilter())
        self._farewell = farewell
        self.story = story
        self.replay = replay
        self.presets = dict(presets or {})
        self._begin = begin
        self.replies = Replies(lambda: asyncio.get_running_loop().time())
        # Over SSH half as often: every frame crosses the network.
        wanted = fps or (HZ // 2 if "SSH_CONNECTION" in os.environ else HZ)
        self._pace = Pace(HZ // max(1, min(wanted, HZ)))
        self._due = 0.0
        self.links = list(links)
        self.read_only = read_only
        self._view = view
        self._painted = NEVER
        self._checked = -1
        self._was_live = False
        self._warnings = warnings
        self._asked_to_quit: datetime | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        for own in THEMES:
            self.register_theme(own)
        self.theme = MONO.name if self.no_colours else DARK.name
        self.animation_level = "none"

    def get_css_variables(self) -> dict[str, str]:
        """Return the theme's colours, and those of our roles."""
        variables = super().get_css_variables()
        return variables | role_colours(self.current_theme, variables)

    def watch_theme(self, name: str) -> None:
        """Tell the style sheet whether colours are there to tell roles apart."""
        self.set_class(name == MONO.name, "-mono")

    # -- running ---------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Open the first view, start following, start ticking."""
        self.switch_mode(self._view)
        if self._begin is not None:
            self.call_after_refresh(self.use, self.presets[self._begin])
        for link in self.links:
            self._start(link.run())
        self.set_interval(1 / HZ, self._tick)
        for warning in self._warnings:
            self.say(warning, error=True)
        if not self.is_headless:
            collector.settle()
            for number in STOP_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._stop, number)

    async def on_unmount(self) -> None:
        """Leave no task and no connection behind."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Report a task that failed."""
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._handle_exception(error)

    def _tick(self) -> None:
        """Bring the screens up to date when something changed or a second has passed."""
        at, second = asyncio.get_running_loop().time(), int(self.state.now().timestamp())
        paints = self._pace.tick(max(0.0, at - self._due) if self._due else 0.0)
        self._due = at + 1 / HZ
        self._go_on()
        now = (self.state.rev, second, self.replies.shown())
        if now == self._painted or not (paints or second != self._painted[1]):
            return
        if second != self._checked and not self._has_terminal():
            self._stop(signal.SIGHUP)  # the terminal is gone, and the signal did not arrive
            return
        self._checked = second
        self._painted = now
        with self.batch_update():
            for screen in self.screen_stack:
                if isinstance(screen, View):
                    screen.tick()

    def _go_on(self) -> None:
        """Show another daemon of the same cluster when the one that was shown is lost."""
        lost, self._was_live = self._was_live and not self.state.live, self.state.live
        if not lost:
            return
        gone = self.state
        mate = mate_of([link.state for link in self.links], gone)
        if mate is not None:
            self._select(next(at for at, link in enumerate(self.links) if link.state is mate))
            self._was_live = True
            self.say(f"{node_of(gone)} is lost. This is {node_of(mate)}, of the same mirror.", error=True)

    def _has_terminal(self) -> bool:
        return self.is_headless or self.is_web or os.isatty(sys.__stderr__.fileno())  # type: ignore[union-attr]

    def _stop(self, number: signal.Signals) -> None:
        """Exit as the signal asks, with the terminal restored."""
        self.exit(return_code=128 + number)

    def _fatal_error(self) -> None:
        """Show the place of a crash, never the values of variables: they hold records and secrets."""
        self.bell()
        traceback = Traceback(show_locals=False, width=None)
        shown = self.console.render(traceback, self.console.options)
        if self._ascii_only:
            shown = AsciiFilter().apply(list(shown), BLACK)
        self._exit_renderables.append(Segments(shown))
        self._close_messages_no_wait()

    # -- actions ---------------------------------------------------------------------------------

    def action_reconnect(self) -> None:
        """Try to connect now."""
        self.link.try_now()

    def action_actions(self) -> None:
        """Show who did what."""
        self.push_screen(ActionLog(read_only=self.read_only))

    def action_orgs(self) -> None:
        """Choose the daemon to show."""
        states = [link.state for link in self.links]
        self.push_screen(Orgs(states, self.selected), self._select)

    def _select(self, chosen: int | None) -> None:
        if chosen is None or chosen == self.selected:
            return
        self.selected = chosen
        self._was_live = self.state.live
        for stream in self.screen.query(Stream):
            stream.set_filter(stream.filter)
        self._painted = NEVER

    def use(self, preset: Preset) -> None:
        """Look at rtsd as a preset says."""
        if preset.theme in self.available_themes:
            self.choose_theme(preset.theme)
        if preset.mask is not None and preset.mask != self.masking:
            self.action_mask()
        if preset.filter is not None:
            self.action_events_matching(preset.filter)
        if preset.view in self.MODES and preset.view != self.current_mode:
            self.switch_mode(preset.view)

    def action_next_theme(self) -> None:
        """Change to the next of the dashboard's own themes; : finds the others."""
        names = [own.name for own in THEMES if own is not MONO]
        place = names.index(self.theme) + 1 if self.theme in names else 0
        self.choose_theme(names[place % len(names)])

    def choose_theme(self, name: str) -> None:
        """Change to a theme; NO_COLOR leaves no choice."""
        if self.no_colours and name != MONO.name:
            self.say("There are no colours to choose: NO_COLOR is set.")
        else:
            self.theme = name

    def action_redraw(self) -> None:
        """Paint everything again, such as after another program wrote to the terminal."""
        self.refresh(repaint=True, layout=True)

    def action_help(self) -> None:
        """Show keys, signs and copying for the open view."""
        if isinstance(self.screen, View):
            name = VIEWS[self.current_mode][0]
            bindings = list(self.screen.active_bindings.values())
            elsewhere = list(bindings_elsewhere(self.screen))
            self.push_screen(Help(name, self.screen.HELP or "", bindings, elsewhere))

    async def action_quit(self) -> None:
        """Exit; say what becomes of the daemon."""
        self.exit(0, message=self._farewell if self._farewell and self.state.live else None)

    async def action_copy_or_quit(self) -> None:
        """Copy the selection; without one, exit on the second press."""
        selected = self.screen.get_selected_text()
        if selected:
            self.copy_to_clipboard(selected)
            return
        now = self.state.now()
        if self._asked_to_quit is not None and now - self._asked_to_quit < QUIT_WITHIN:
            await self.action_quit()
        self._asked_to_quit = now
        self.say("Press ctrl+c again, or q, to quit.")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: keys that work here, actions without a key, themes."""
        seen: set[str] = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.action in seen or binding.action.endswith("command_palette"):
                continue
            seen.add(binding.action)
            key = binding.key_display or self.get_key_display(binding)
            reason = self.why_not(binding.action.partition("(")[0].removeprefix("app."))
            yield SystemCommand(
                title_of(binding.description, binding.action),
                reason or f"key {key}",
                lambda active=active: self._run(active.binding.action, active.node),
            )
        if not self.read_only and self.state.live:
            yield from self.pauses()
        for name, preset in self.presets.items():
            yield SystemCommand(f"Preset: {name}", "of your own", lambda preset=preset: self.use(preset))
        for name in () if self.no_colours else self.available_themes:
            yield SystemCommand(f"Theme: {name}", "colours", lambda name=name: self.choose_theme(name))
