"""The operator's side of the app: the selected daemon, and the actions on it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from textual.actions import ActionParseResult, parse
from textual.app import SystemCommand
from textual.dom import DOMNode
from textual.notifications import SeverityLevel

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Event, Object
from rtsd.errors import RtsError
from rtstui import actions, channel, conditions, saving, undo
from rtstui.clean import clean
from rtstui.daemon_link import DaemonLink
from rtstui.document_cache import CachedDocument, DocumentRequest, load
from rtstui.environment import PRODUCTION, kind_of
from rtstui.replay import Replay
from rtstui.replies import Replies
from rtstui.rows import Row
from rtstui.screens.action_log import ActionLog
from rtstui.screens.conditions import ConditionsView
from rtstui.screens.dialogs import Confirm
from rtstui.screens.record import RecordView
from rtstui.state import State
from rtstui.type_ahead import TypeAheadApp
from rtstui.widgets.errors import DeadLetters
from rtstui.widgets.objects import Objects
from rtstui.widgets.panel import Panel

T = TypeVar("T")

CHANGING = frozenset(
    {
        "audit",
        "pause",
        "pause_all",
        "resume_all",
        "retry",
        "drop",
        "compare",
        "repair",
        "verify",
        "read_conditions",
        "apply_conditions",
        "switch_package",
        "undo_action",
    }
)
"""Actions that change something in the daemon or the org."""

PACKAGED = frozenset({"read_conditions", "apply_conditions", "switch_package"})
"""Those that need a package in the org."""

NO_OBJECT = "There is no object to do that with."
NO_ACTION = "There is no action to undo."
NO_LETTER = "There is no dead letter to do that with."


REPLY_ROLES = {"information": "bold", "warning": "warn", "error": "error"}


class OperatorApp(TypeAheadApp):
    """Acts on the selected daemon, after a question; the keys for that belong to the tables."""

    links: list[DaemonLink]
    read_only: bool
    selected: int = 0
    """Index into `links`."""

    @property
    def link(self) -> DaemonLink:
        """The link to the selected daemon."""
        return self.links[self.selected]

    @property
    def state(self) -> State:
        """The state of the selected daemon."""
        return self.link.state

    replay: Replay | None = None
    """The recording that is shown; None for a daemon of now."""

    replies: Replies
    """What was answered to the last keys."""

    ages: bool = False
    """True while moments are shown as ages."""

    masking: bool = False
    """True while records' values are hidden, for sharing the screen."""

    def load(self, request: DocumentRequest[T]) -> CachedDocument[T]:
        """Return a document of the selected daemon from the cache, and load it when it is due."""
        state = self.state
        document = state.documents.get(request)
        if state.live and document.is_due(state.now(), request.max_age_s):
            document.loading = True
            self.run_worker(self._load(request, document, state, self.client), group="load")
        return document

    async def _load(
        self, request: DocumentRequest[T], document: CachedDocument[T], state: State, client: ControlClient
    ) -> None:
        await load(request, document, client, state.now())
        state.rev += 1

    def look_up(self, seqs: Sequence[int]) -> None:
        """Ask for the values of the changes with these numbers, unless that was done just now."""
        state = self.state
        if state.live and (due := state.values.due(seqs, asyncio.get_running_loop().time())):
            self.run_worker(self._look_up(due, state, self.client), group="load")

    async def _look_up(self, seqs: Sequence[int], state: State, client: ControlClient) -> None:
        if await state.values.load(seqs, client):
            state.rev += 1

    @property
    def client(self) -> ControlClient:
        """The control API of the selected daemon."""
        return self.link.client

    def notify(
        self,
        message: str,
        *,
        title: str = "",  # noqa: ARG002 (Textual's)
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,  # noqa: ARG002 (Textual's; nothing here is markup)
    ) -> None:
        """Show an answer in its line, where it covers nothing."""
        self.replies.add(message, REPLY_ROLES[severity], timeout)

    def say(self, text: str, *, error: bool = False) -> None:
        """Show a message for some seconds."""
        self.notify(
            clean(text), severity="error" if error else "information", timeout=8 if error else 4, markup=False
        )

    async def ask(self, question: str, rows: Sequence[Row], verb: str, word: str | None = None) -> bool:
        """Ask before an action; return False if the dialog is closed."""
        org = self.state.status.org if self.state.status else None
        where = f"{PRODUCTION}: {org.name or org.id}" if org and kind_of(org) == PRODUCTION else ""
        return await self.push_screen_wait(Confirm(question, rows, verb, word, where=where))

    def copy_to_clipboard(self, text: str) -> None:
        """Send text to the terminal's clipboard, or to a file if it is too long for that.

        A terminal does not confirm, so the message never claims that it was copied.
        """
        size = len(text.encode())
        if size > saving.LONGEST_COPY:
            self.keep("copy", "txt", text)
        elif self.is_web or self._driver is None:
            super().copy_to_clipboard(text)
            self.say(f"Sent to the clipboard: {size:,} bytes.")
        else:
            self._clipboard = text
            self._driver.write(saving.clipboard_sequence(text))
            self.say(f"Sent to the terminal's clipboard: {size:,} bytes.")

    def action_save(self) -> None:
        """Save the content of the focused panel, as it is filtered, to a file."""
        panel = self.focused
        if isinstance(panel, Panel):
            self.keep(panel.id or "panel", *panel.export())
        else:
            self.say("Choose a panel with tab first: w saves the one in focus.")

    def keep(self, stem: str, suffix: str, text: str) -> bool:
        """Write text to a new file, and report where; return True if it was written."""
        try:
            path = saving.save(stem, suffix, text, self.state.now())
        except OSError as error:
            self.say(f"It cannot be saved: {error.strerror or error}.", error=True)
            return False
        self.say(f"Saved to {path}")
        return True

    def action_mask(self) -> None:
        """Hide records' values, or show them."""
        self.masking = not self.masking
        self.state.rev += 1
        self.say("Values are masked; m shows them." if self.masking else "Values are shown.")

    def action_ages(self) -> None:
        """Show moments as ages, or as times of day."""
        self.ages = not self.ages
        self.state.rev += 1

    def action_zoom(self) -> None:
        """Give the focused panel the whole view, or its own place again."""
        if self.screen.maximized is not None:
            self.screen.minimize()
        elif self.focused is not None:
            self.screen.maximize(self.focused, container=False)

    def log_changed(self) -> None:
        """Have the error log read again."""
        self.link.read_log()

    def _act(self, work: Coroutine[Any, Any, None]) -> None:
        self.run_worker(self._guarded(work), group="act", exit_on_error=True)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except RtsError as error:
            self.say(str(error), error=True)

    def why_not(self, action: str) -> str:
        """Return why an action cannot be done now, as a sentence; nothing if it can."""
        if action not in CHANGING:
            return ""
        if self.read_only:
            return "This dashboard only shows: it was started with --read-only."
        if not self.state.live:
            return "Not now: rtsd is not connected."
        return channel.without_conditions(self.state.status) if action in PACKAGED else ""

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action; say why, if it cannot be done now: a key that does nothing explains nothing."""
        _, name, _ = parse(action) if isinstance(action, str) else action
        if reason := self.why_not(name):
            self.say(reason)
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Hide actions in read-only mode, and disable them while the data is outdated."""
        if action in CHANGING:
            return False if self.read_only else None if self.why_not(action) else True
        if action in {"skip", "play"}:
            return self.replay is not None
        if action == "reconnect":
            return not self.state.live
        if action == "orgs":
            return len(self.links) > 1
        return True

    def chosen_object(self) -> Object | None:
        """Return the object under the cursor of the view's table."""
        for table in self.screen.query(Objects):
            status = self.state.status
            if status is not None and table.cursor is not None:
                return next((item for item in status.objects if item.name == table.cursor), None)
        return None

    def action_skip(self, seconds: int) -> None:
        """Go forward or back in a recording."""
        if self.replay is not None:
            self.replay.skip(seconds)

    def action_play(self) -> None:
        """Stop a recording at this moment, or go on."""
        if self.replay is not None:
            self.replay.run(on=not self.replay.is_running)

    def action_audit(self, full: bool = False, name: str = "") -> None:  # noqa: FBT001, FBT002 (an action's)
        """Audit an object, else the chosen one."""
        if not name and (item := self.chosen_object()) is not None:
            name = item.name
        if name:
            self._act(actions.audit(self, name, full=full))
        else:
            self.say(NO_OBJECT)

    def action_pause(self, name: str = "") -> None:
        """Pause or resume an object, else the chosen one."""
        status = self.state.status
        named = [item for item in status.objects if item.name == name] if status else []
        if (item := named[0] if named else self.chosen_object()) is not None:
            self._act(actions.pause(self, item))
        else:
            self.say(NO_OBJECT)

    def pauses(self) -> Iterable[SystemCommand]:
        """Yield the orders to pause or resume each object, and after them those for everything."""
        for item in self.state.status.objects if self.state.status else ():
            verb = "Resume" if item.state == "paused" else "Pause"
            order = f"pause({item.name!r})"
            yield SystemCommand(f"{verb} {item.name}", "asks first", partial(self._run, order, self))
        yield SystemCommand("Pause the whole sync: all objects", "asks first", self.action_pause_all)
        yield SystemCommand("Resume the whole sync: all objects", "asks first", self.action_resume_all)

    def _run(self, action: str, node: Any) -> None:
        self.call_later(self.run_action, action, node)

    def action_pause_all(self) -> None:
        """Pause the whole sync."""
        self._act(actions.pause_all(self))

    def action_resume_all(self) -> None:
        """Resume the whole sync."""
        self._act(actions.resume_all(self))

    def action_retry(self) -> None:
        """Retry the chosen dead letters."""
        if targets := self._letters():
            self._act(actions.retry(self, targets))
        else:
            self.say(NO_LETTER)

    def action_drop(self) -> None:
        """Drop the chosen dead letters."""
        if targets := self._letters():
            self._act(actions.drop(self, targets))
        else:
            self.say(NO_LETTER)

    def action_compare(self) -> None:
        """Compare the record with the org."""
        if isinstance(self.screen, RecordView):
            self._act(actions.compare(self, self.screen))

    def action_repair(self) -> None:
        """Fetch the record again."""
        if isinstance(self.screen, RecordView):
            self._act(actions.repair(self, self.screen))

    def action_read_conditions(self) -> None:
        """Read the chosen object's conditions from the org."""
        if isinstance(self.screen, ConditionsView):
            self._act(conditions.read(self, self.screen))

    def action_apply_conditions(self) -> None:
        """Write the chosen object's conditions to the org."""
        if isinstance(self.screen, ConditionsView):
            self._act(conditions.apply(self, self.screen))

    def action_switch_package(self) -> None:
        """Switch push off or on, for the whole org."""
        if isinstance(self.screen, ConditionsView):
            self._act(conditions.switch(self, self.screen))

    def action_verify(self) -> None:
        """Verify the whole mirror."""
        self._act(actions.verify(self))

    def action_undo_action(self) -> None:
        """Undo the chosen action of the log."""
        entry = self.screen.chosen if isinstance(self.screen, ActionLog) else None
        if entry is not None:
            self._act(self._undo(entry))
        else:
            self.say(NO_ACTION)

    async def _undo(self, entry: Event) -> None:
        if await undo.undo(self, entry, self.state.status):
            self.state.documents.expire()

    def _letters(self) -> list[int]:
        return next((table.targets() for table in self.screen.query(DeadLetters)), [])
