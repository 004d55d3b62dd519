"""The selection of objects for Change Data Capture: what the org has, and how to change it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rtsd.config import Config
from rtsd.core.capture import FREE_OBJECTS, carries, channel_of, event_name, may_be_captured
from rtsd.core.completion_pace import reads_a_day
from rtsd.core.problem import Problem
from rtsd.core.spelling import did_you_mean
from rtsd.errors import AuthenticationFailed, Conflict, OrgUnreachable, SalesforceError
from rtsd.salesforce import capture
from rtsd.salesforce.capture import Member
from rtsd.salesforce.client import Client
from rtsd.workflows.installation.org_session import PURPOSE, OrgSession, org_session


@dataclass(frozen=True, slots=True)
class Choice:
    """What became of an object that was to be selected, or not."""

    name: str
    selected: bool
    changed: bool = False
    error: str | None = None
    do: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What an operator has changed."""

    topic: str
    objects: list[Choice]
    selected_in_org: int
    """Objects selected for any channel: without the add-on at most `free`."""
    free: int = FREE_OBJECTS

    @property
    def is_done(self) -> bool:
        """Whether everything is as wanted."""
        return not any(choice.error for choice in self.objects)

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Capturable:
    """A configured object: whether it has change events (None: only the org knows), and is selected."""

    name: str
    can_be_selected: bool | None
    selected: bool


@dataclass(slots=True)
class CaptureReport:
    """What `rtsd check` finds of Change Data Capture."""

    topic: str
    objects: list[Capturable]
    selected_in_org: int
    completion_calls_a_day: int
    """The price of partial rows, while every selected object keeps changing."""
    free: int = FREE_OBJECTS
    ignored: list[str] = field(default_factory=list)
    """Events that are selected and not mirrored: they are delivered all the same."""

    @property
    def to_select(self) -> list[str]:
        """The objects that can be selected yet, as many as are free without the add-on."""
        wanted = [
            found.name for found in self.objects if not found.selected and found.can_be_selected is not False
        ]
        return wanted[: max(self.free - self.selected_in_org, 0)]

    def problems(self) -> list[Problem]:
        """Return what keeps changes from arriving."""
        if any(found.selected for found in self.objects):
            return []
        names = " ".join(found.name for found in self.objects if found.can_be_selected is not False)
        return [
            Problem(
                f"None of [[objects]] is selected for {self.topic}: Interval Sync reads them all.",
                f"Run `rtsd stream enable {names}`, of which {self.free} are free without the add-on.",
                awaits_setup=True,
            )
        ]

    def warnings(self) -> list[Problem]:
        """Return what arrives later than it could, or costs deliveries."""
        found = []
        unselected = [found.name for found in self.objects if not found.selected]
        if unselected and len(unselected) < len(self.objects):
            do = "Run `rtsd stream enable OBJECT`, or leave them to it."
            found.append(Problem(f"Not selected, so read by Interval Sync: {', '.join(unselected)}.", do))
        if self.ignored:
            what = f"Selected, but not mirrored: {', '.join(self.ignored)}. Each event counts as delivered."
            found.append(Problem(what, "Mirror them, or use a custom channel as [push] topic."))
        return found

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


async def inspect(client: Client, config: Config, *, purpose: str) -> CaptureReport | Problem:
    """Return what is selected, in one call; the problem, if the user may not read it."""
    topic, names = config.push.topic, [section.name for section in config.objects]
    try:
        members = await capture.members(client, purpose=purpose)
    except (AuthenticationFailed, OrgUnreachable):
        raise
    except SalesforceError as error:
        return Problem(
            f"The selection for Change Data Capture cannot be read: {error.message}",
            "Give the login's user View Setup and Configuration; until then an object counts as selected once"
            " an event of it has come.",
        )
    chosen = capture.selected(members, names, topic)
    events, known = capture.events_selected(members), {event_name(name) for name in names}
    channel = channel_of(topic)
    ignored = {member.event for member in members if member.channel == channel} - known
    return CaptureReport(
        topic,
        [Capturable(name, may_be_captured(name), name in chosen) for name in names],
        len(events),
        round(len(chosen) * reads_a_day(config.sync.interval)),
        ignored=sorted(ignored) if channel == topic.removeprefix("/data/") else [],
    )


async def enable(config: Config, names: Sequence[str]) -> Selection:
    """Select objects for the configured topic. Raises the client's errors that concern all of them."""

    async def choose(session: OrgSession, name: str, members: Sequence[Member]) -> Choice:
        topic = config.push.topic
        if may_be_captured(name) is False:
            raise Conflict(f"{name} has no change events.", "Interval Sync reads it.")
        if not carries(topic, name):
            raise Conflict(f"{topic} cannot carry {name}.", "Set [push] topic to a channel.")
        if capture.selected(members, [name], topic):
            return Choice(name, selected=True)
        await capture.select(session.client, name, topic, purpose=PURPOSE)
        return Choice(name, selected=True, changed=True)

    return await _change(config, names, choose)


async def disable(config: Config, names: Sequence[str]) -> Selection:
    """Remove objects from the configured topic's channel. Raises the client's errors that concern all."""

    async def choose(session: OrgSession, name: str, members: Sequence[Member]) -> Choice:
        channel = channel_of(config.push.topic)
        found = [member for member in members if member.selects(name, channel)]
        for member in found:
            await capture.deselect(session.client, member, purpose=PURPOSE)
        return Choice(name, selected=False, changed=bool(found))

    return await _change(config, names, choose)


async def _change(
    config: Config,
    names: Sequence[str],
    choose: Callable[[OrgSession, str, Sequence[Member]], Awaitable[Choice]],
) -> Selection:
    """Change one object after the other; what one is refused keeps no other from being changed."""
    spelled = {section.name.lower(): section.name for section in config.objects}
    choices: list[Choice] = []
    async with org_session(config) as session:
        before = await capture.members(session.client, purpose=PURPOSE)
        for name in [spelled.get(name.lower(), name) for name in names]:
            try:
                choices.append(await choose(session, name, before))
            except (AuthenticationFailed, OrgUnreachable):
                raise
            except (Conflict, SalesforceError) as error:
                is_selected = bool(capture.selected(before, [name], config.push.topic))
                hint = "" if name.lower() in spelled else did_you_mean(name, spelled.values())
                choices.append(Choice(name, is_selected, error=error.message + hint, do=error.do))
        session.changes = any(choice.changed for choice in choices)
        after = await capture.members(session.client, purpose=PURPOSE)
    return Selection(config.push.topic, choices, len(capture.events_selected(after)))
