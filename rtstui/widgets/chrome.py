"""The frame of every view: the top bar, the tabs, the notice and the line of keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

from textual import events
from textual.binding import ActiveBinding, Binding
from textual.keys import format_key
from textual.screen import Screen
from textual.widgets import Input, TextArea

from rtsd.control.limits import limit_role, used_share
from rtsd.control.protocol import Status
from rtsd.control.verdict import GLYPHS, in_trouble
from rtsd.core.figures import UNKNOWN, age, per_second, percent
from rtsd.core.figures import clock as clock_of
from rtsd.core.figures import short as short_number
from rtstui.clusters import place_among
from rtstui.daemon_link import DaemonLink
from rtstui.environment import PRODUCTION, kind_of
from rtstui.format import wrap
from rtstui.meaning import link_sign, mode_sign, notice
from rtstui.messages import ViewAsked
from rtstui.replay import Replay
from rtstui.replies import Replies
from rtstui.rows import Row, Span, spread, width_of
from rtstui.story import Story
from rtstui.widgets.panel import Panel
from rtstui.widgets.verdicts import BARE

VIEWS = {
    "1": ("Overview", "Home"),
    "2": ("Events", "Events"),
    "3": ("Objects", "Objs"),
    "4": ("Errors", "Errs"),
    "5": ("Quota", "Quota"),
    "6": ("Conditions", "Cond"),
    "7": ("Audits", "Audit"),
    "8": ("Record", "Rec"),
    "9": ("Rules", "Rules"),
    "0": ("SQL", "SQL"),
    "S": ("Service", "Svc"),
}
"""The views by their key: their names, and short forms for a narrow screen."""

SPARE = "S"
"""The view whose tab gives way to the names of the others, unless it is open."""

TAB_FORMS = (
    (0, 2, True),
    (0, 1, True),
    (0, 2, False),
    (0, 1, False),
    (1, 1, True),
    (1, 1, False),
    (2, 1, True),
)
"""The forms of the tabs, the longest first: that of the names, the gap, and whether SPARE is shown."""


Hint = tuple[ActiveBinding | None, list[Span]]
"""A hint on keys, and the binding that a click on it runs."""

LEAST_ELSEWHERE = 14
"""Cells without which no hint of another panel has room."""


class HasLinks(Protocol):
    """The part of the app that the frame uses."""

    story: Story | None
    """What the demo tells; None outside of it."""

    replay: Replay | None
    """The recording that is shown; None for a daemon of now."""

    replies: Replies
    """What was answered to the last keys."""

    @property
    def links(self) -> Sequence[DaemonLink]:
        """Every daemon that is watched."""


class TopBar(Panel):
    """Connection, org, mode, rate, last push; the clock on the right."""

    FRAMED = DATED = False

    def _label(self) -> list[Span]:
        """Say it where this is not somebody's own daemon of now."""
        app = cast("HasLinks", self.app)
        if app.replay is not None:
            return [(f" REPLAY {'▶' if app.replay.is_running else '‖'} ", "tab")]
        return [(" DEMO ", "tab")] if app.story else []

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """As many facts as fit, the most important first."""
        state = self.state
        sign = link_sign(state)
        # The sign is of rtsd alone: it says nothing about the org, so it is not green.
        left = self._label()
        left += [(" rtsd ", "bold"), (f"{sign.text} ", sign.role)]
        facts = _facts(state.status, live=state.live) if state.status else [(state.socket, "dim")]
        clock = ((f"{clock_of(state.now().isoformat())} ", "dim"),)
        if state.status is not None:
            rate = f"{per_second(state.rate())} ev/s" if state.live else f"{UNKNOWN} ev/s"
            push = (
                f"push {age(state.status.push.last_at, state.now())} ago"
                if state.status.push.last_at
                else "no push yet"
            )
            facts += [(rate, ""), (push if state.live else f"push {UNKNOWN}", "")]
            if (node := state.status.node) is not None:
                leads = f"{node.leader_name} leads"
                facts.append((leads if node.leader else f"{node.name} stands by, {leads}", "dim"))
            if state.status.org.user and width >= 150:
                facts.append((f"as {state.status.org.user}", "dim"))
            if width >= 130:
                facts.append((f"up {age(state.status.started_at, state.now())}", "dim"))
        states = [link.state for link in cast("HasLinks", self.app).links]
        facts[1:1] = place_among(states, state)
        for text, role in facts:
            if width_of(tuple(left)) + len(text) + 3 + width_of(clock) > width:
                break
            left += [("  ", ""), (text, role)]
        return [spread(tuple(left), clock, width)]


def _facts(status: Status, *, live: bool) -> list[Span]:
    mode = mode_sign(status.mode)
    name = status.org.name or status.org.id or "org not known yet"
    kind = kind_of(status.org)
    mark = [(kind.upper(), "warn")] if kind == PRODUCTION else []
    name += f" ({kind})" if kind and not mark else ""
    return [*mark, (name, "bold"), (mode.text if live else mode.word, mode.role if live else "dim")]


class Tabs(Panel):
    """The views; a mark on a tab shows trouble there."""

    FRAMED = False

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """One line, with the names in the longest form that fits."""
        row: Row = ()
        self._tabs = []
        for form, gap, spare in TAB_FORMS:
            shown = {key for key in VIEWS if spare or key != SPARE or self.app.current_mode == SPARE}
            tabs = [(key, self._tab(key, names, form)) for key, names in VIEWS.items() if key in shown]
            row = tuple(span for _, tab in tabs for span in (*tab, (" " * (gap - 1), "")))
            x = 0
            self._tabs = []
            for key, tab in tabs:
                x += width_of(tab) + gap - 1
                self._tabs.append((x, key))
            if width_of(row) <= width:
                break
        return [row]

    _tabs: Sequence[tuple[int, str]] = ()
    """The cell at which each tab ends, for clicks."""

    def _tab(self, key: str, names: tuple[str, str], form: int) -> Row:
        """Return a tab with its name, its short name, or, unless it is the open one, its key alone."""
        short = form > 0
        mark, role = self._mark(key, short=short)
        active = self.app.current_mode == key
        name = names[min(form, 1)] if form < 2 or active else ""
        text = f"{'' if short else ' '}{key} {name}".rstrip()
        mark = mark if short or not mark else f" {mark}"
        if active:
            return ((text, "tab"), (mark, "tab"), ("" if short else " ", "tab"), (" " if short else "", ""))
        return ((text, ""), (mark, role), (" ", ""))

    def _mark(self, key: str, *, short: bool) -> tuple[str, str]:
        status = self.state.status
        if status is None:
            return "", ""
        if key == "3":
            bad = sum(in_trouble(item) for item in status.objects)
            return (f"▲{bad}", "warn") if bad else ("", "")
        if key == "4" and (status.errors_24h or status.dead_letters):
            sign, role = ("✖", "error") if status.errors_24h else ("▲", "warn")
            return f"{sign}{short_number(status.errors_24h + status.dead_letters)}", role
        if key == "5" and status.quota.limits:
            worst = max(status.quota.limits, key=used_share)
            role = limit_role(worst)
            if short:
                return GLYPHS[role] if role != "ok" else "", role
            return percent(used_share(worst)), role
        return "", ""

    def on_click(self, event: events.Click) -> None:
        """A click on a tab opens its view."""
        for end, key in self._tabs:
            if event.x < end:
                self.post_message(ViewAsked(key))
                return


class StoryLine(Panel):
    """What happens now in the demo; it takes no line outside of it."""

    FRAMED = DATED = False

    _told: str = ""

    def tick(self) -> None:
        """Read the line, and hide where there is none."""
        story = cast("HasLinks", self.app).story
        self._told = story.line() if story else ""
        self.display = bool(self._told) and not self.screen.has_class(BARE)
        super().tick()

    def wanted(self) -> int:
        """At most two lines."""
        return min(2, len(wrap(self._told, max(10, self.app.size.width - 2)))) or 1

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The sentence."""
        return [((f" {line}", "accent"),) for line in wrap(self._told, max(10, width - 2))]


class ReplyLine(Panel):
    """The answers to the last keys, above the line of keys; no line without an answer."""

    FRAMED = DATED = False

    def tick(self) -> None:
        """Hide the line when there is nothing to answer."""
        self.display = bool(self._lines())
        super().tick()

    def wanted(self) -> int:
        """A line or two for each answer."""
        return len(self._lines())

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The newest ones, if there is no room for all."""
        return self._lines()[-height:]

    def _lines(self) -> list[Row]:
        width = max(10, (self.size.width or self.app.size.width) - 2)
        shown = cast("HasLinks", self.app).replies.shown()
        return [((f" {line}", reply.role),) for reply in shown for line in wrap(reply.text, width)]


class Notice(Panel):
    """The one thing to know first; it takes no line when there is none."""

    FRAMED = DATED = False

    def wanted(self) -> int:
        """At most two lines, none when all is well, or when there is room for the three answers only."""
        said = None if self.screen.has_class(BARE) else notice(self.state)
        width = (self.size.width or self.app.size.width) - 2
        return min(2, len(wrap(said[0], max(10, width)))) if said else 0

    def tick(self) -> None:
        """Hide the line when there is nothing to say."""
        self.display = self.wanted() > 0 and self.state.status is not None
        super().tick()

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """The sentence."""
        said = notice(self.state)
        if said is None:
            return []
        text, role = said
        lines = wrap(text, max(10, width - 2))
        return [((f" {line}", role),) for line in lines]


class KeyBar(Panel):
    """Hints on the keys that work now, from the live bindings; whole hints only. A click does the same."""

    FRAMED = DATED = False

    _spots: list[tuple[int, ActiveBinding | None]]
    """The cell at which each hint ends, and its binding."""

    def paint(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """As many hints as fit."""
        blank = self.state.status is None
        typing = isinstance(self.app.focused, Input | TextArea)
        active = [each for each in self.screen.active_bindings.values() if not (typing and _is_typed(each))]
        shown = [each for each in _shortest(active) if each.binding.show]
        if blank:  # the panels of the other keys are hidden
            shown = [each for each in shown if each.node is self.app]
        # Help, commands and quit come last and always have room.
        fixed = [each for each in shown if each.binding.system]
        room = width - sum(width_of(tuple(_hint(each))) for each in fixed) - 1
        self._spots, spans = [], [(" ", "")]
        hints: list[Hint] = [] if blank or typing else [(None, _plain_hint("0-9", "views"))]
        hints += [(each, _hint(each)) for each in shown if not each.binding.system]
        hints += [] if blank or typing else [(None, _plain_hint("tab", "panels"))]
        self._add(spans, hints, room)
        if not blank and not typing and width_of(tuple(spans)) + LEAST_ELSEWHERE <= room:
            self._add(spans, _elsewhere(self.screen, {each.binding.id for each in active}), room)
        self._add(spans, [(each, _hint(each)) for each in fixed], width)
        return [tuple(spans)]

    def _add(self, spans: list[Span], hints: Iterable[Hint], room: int) -> None:
        """Add the hints that fit."""
        for active, hint in hints:
            if width_of(tuple(spans)) + width_of(tuple(hint)) <= room:
                spans += hint
                self._spots.append((width_of(tuple(spans)), active))

    def on_click(self, event: events.Click) -> None:
        """Run the action of the hint under the pointer."""
        active = next((active for end, active in self._spots if event.x < end), None)
        if active is not None:
            self.app.call_later(self.app.run_action, active.binding.action, active.node)


def _shortest(bindings: Iterable[ActiveBinding]) -> list[ActiveBinding]:
    """Return one binding per action, under its shortest key, in their order."""
    shortest: dict[str, ActiveBinding] = {}
    for active in bindings:
        known = shortest.get(active.binding.action)
        if known is None or len(key_name(active)) < len(key_name(known)):
            shortest[active.binding.action] = active
    return list(shortest.values())


def _elsewhere(screen: Screen[Any], active: Collection[str | None]) -> Iterator[Hint]:
    """Yield the hints of the panels that have no focus: what `tab` would lead to."""
    for title, own in bindings_elsewhere(screen):
        hints = [each for each in own if each.show and each.id not in active]
        if hints:
            keys = "  ".join(
                f"{each.key_display or format_key(first_key(each))} {each.description}" for each in hints
            )
            yield None, [(f"{title}: {keys}  ", "dim")]


def bindings_elsewhere(screen: Screen[Any]) -> Iterator[tuple[str, list[Binding]]]:
    """Yield the titles of the panels that have no focus, and their own bindings."""
    for panel in screen.query(Panel):
        own = [each for each in panel.BINDINGS if isinstance(each, Binding)]
        if panel.can_focus and not panel.has_focus and panel.display and own:
            yield panel.titles()[0].partition(",")[0], own


def first_key(binding: Binding) -> str:
    """Return the first of the keys of a binding of a panel's own."""
    return binding.key.partition(",")[0]


def _is_typed(active: ActiveBinding) -> bool:
    """Return True for a key that is a letter or a sign: while something is typed, it is text.

    Enter and the arrows are written by one sign, too, which no key types.
    """
    written = format_key(active.binding.key)
    return len(written) == 1 and written.isascii() and not active.binding.priority


def key_name(active: ActiveBinding) -> str:
    """Return the key of a binding as it is written."""
    key, shown = format_key(active.binding.key), active.binding.key_display or ""
    return key if len(shown) == 1 < len(key) else shown or key


def _hint(active: ActiveBinding) -> list[Span]:
    return _plain_hint(key_name(active), active.binding.description, enabled=active.enabled)


def _plain_hint(key: str, action: str, *, enabled: bool = True) -> list[Span]:
    return [(key, "bold" if enabled else "dim"), (f" {action}  ", "" if enabled else "dim")]
