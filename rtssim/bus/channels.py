"""Topics, and the objects that are selected for Change Data Capture.

Facts: Change Data Capture guide, Subscription Channels; Tooling API guide, PlatformEventChannelMember. A
platform event has the topic `/event/NAME__e`, a selected object `/data/NAMEChangeEvent`, and a channel
`/data/CHANNEL`; without a channel of one's own that is ChangeEvents. Names are case-sensitive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtssim.bus.event_schema import change_event_schema, event_name, platform_event_schema
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from rtssim.bus.event_schema import EventSchema
    from rtssim.interface import Commit, Principal
    from rtssim.org import Org
    from rtssim.switches import EventSwitches

MEMBER = "PlatformEventChannelMember"
DEFAULT_CHANNEL = "ChangeEvents"
MOST_SELECTED = 5
_MEMBERS = f"SELECT EventChannel, SelectedEntity FROM {MEMBER}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: the objects or the platform event it carries; `single` if it is one by definition."""

    name: str
    carries: frozenset[str]
    single: str | None

    @property
    def is_platform_event(self) -> bool:
        """True for the topic of a platform event."""
        return self.name.startswith("/event/")


class Channels:
    """Knows topics, selections and schemas; selections are rows of PlatformEventChannelMember."""

    def __init__(self, org: Org, switches: EventSwitches) -> None:
        self._org = org
        self._switches = switches
        self._members: dict[str, frozenset[str]] | None = None
        self._schemas: dict[str, EventSchema] = {}
        self._current: dict[str, tuple[Any, EventSchema]] = {}
        org.on_commit(self._observe)

    def _observe(self, commit: Commit) -> None:
        if any(change.object == MEMBER for change in commit.changes):
            self._members = None

    # -- selection ----------------------------------------------------------------------------------
    def members(self) -> dict[str, frozenset[str]]:
        """Return the selected objects by channel."""
        if self._members is None:
            found: dict[str, set[str]] = {}
            objects = {event_name(obj.name): obj.name for obj in self._org.schema}
            for channel, selected in self._org.query(self._org.sync_user, _MEMBERS).rows():
                found.setdefault(channel, set()).add(objects.get(selected, selected))
            self._members = {channel: frozenset(names) for channel, names in found.items()}
        return self._members

    def selected(self) -> frozenset[str]:
        """Return the objects selected for any channel."""
        return frozenset().union(*self.members().values())

    def select(self, who: Principal, description: dict[str, Any]) -> str:
        """Create a member from a Tooling document and return its id; OrgError as Salesforce refuses it."""
        metadata = description.get("Metadata") or {}
        channel, selected = metadata.get("eventChannel", ""), metadata.get("selectedEntity", "")
        entity = next((o.name for o in self._org.schema if event_name(o.name) == selected), None)
        if entity is None or self._org.schema[entity].name.endswith("__e"):
            message = f"selectedEntity: {selected} isn't an object that supports change events"
            raise OrgError(400, "FIELD_INTEGRITY_EXCEPTION", message, ("SelectedEntity",))
        if entity in self.members().get(channel, ()):
            raise OrgError(400, "DUPLICATE_VALUE", f"{selected} is already a member of {channel}")
        count = len(self.selected() | {entity})
        if count > MOST_SELECTED and not self._switches.cdc_add_on:
            message = f"You've reached the maximum of {MOST_SELECTED} entities for Change Data Capture"
            raise OrgError(400, "LIMIT_EXCEEDED", message)
        row = {
            "DeveloperName": str(description.get("FullName", "")),
            "EventChannel": channel,
            "SelectedEntity": selected,
        }
        return self._org.create(who, MEMBER, [row])[0].unwrap()

    # -- topics -------------------------------------------------------------------------------------
    def topic(self, name: str) -> Topic | None:
        """Return the topic with a name, or None."""
        kind, _, last = name.removeprefix("/").partition("/")
        if kind == "event" and last.endswith("__e"):
            found = self._org.schema.find(last)
            return Topic(name, frozenset((last,)), last) if found and found.name == last else None
        if kind != "data":
            return None
        if last == DEFAULT_CHANNEL or last.endswith("__chn"):
            members = self.members().get(last)
            if last != DEFAULT_CHANNEL and members is None:
                return None
            return Topic(name, members or frozenset(), None)
        entity = next((obj.name for obj in self._org.schema if event_name(obj.name) == last), None)
        if entity is None or (self._switches.single_topic_needs_selection and entity not in self.selected()):
            return None
        return Topic(name, frozenset((entity,)), entity)

    # -- schemas ------------------------------------------------------------------------------------
    def schema(self, entity: str) -> EventSchema:
        """Return the current schema of an object's change event, or of a platform event."""
        obj = self._org.schema[entity]
        state = (obj.changed, self._switches.name_may_be_text)
        known = self._current.get(entity)
        if known is None or known[0] != state:
            is_platform_event = entity.endswith("__e")
            schema = (
                platform_event_schema(obj) if is_platform_event else change_event_schema(obj, self._switches)
            )
            known = self._current[entity] = (state, schema)
            self._schemas[schema.id] = schema
        return known[1]

    def schema_by_id(self, schema_id: str) -> EventSchema | None:
        """Return a schema that an event had, or None."""
        return self._schemas.get(schema_id)
