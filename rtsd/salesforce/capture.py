"""The selection of objects for Change Data Capture in the org: members of channels, by the Tooling API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec import Struct

from rtsd.core.capture import FREE_OBJECTS, channel_of, event_name, member_name
from rtsd.errors import Conflict, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.shapes import RecordId, ResultShape

MEMBER = "PlatformEventChannelMember"
_FIELDS = ("Id", "DeveloperName", "EventChannel", "SelectedEntity")
_PATH = f"tooling/sobjects/{MEMBER}"
_TOO_MANY = ("LIMIT_EXCEEDED", "MAX_LIMIT_EXCEEDED", "FIELD_INTEGRITY_EXCEPTION")
_NO_RIGHT = ("INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY", "INVALID_TYPE", "NOT_FOUND")


class _MemberShape(Struct):
    Id: RecordId
    DeveloperName: str | None = None
    EventChannel: str | None = None
    SelectedEntity: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A member: the event that it selects for a channel, and its name, which tells both."""

    id: str
    name: str
    channel: str
    event: str

    def selects(self, object_name: str, channel: str) -> bool:
        """Return whether it selects an object for a channel. Either may be given by an id: the name tells."""
        by_fields = (self.channel, self.event) == (channel, event_name(object_name))
        return by_fields or self.name == member_name(channel, object_name)


async def members(client: Client, *, purpose: str) -> list[Member]:
    """Return the members of all channels, in one call. Raises the client's errors."""
    page = await client.tooling_query(soql.select(_FIELDS, MEMBER), purpose=purpose)
    return [
        Member(row.Id, row.DeveloperName or "", row.EventChannel or "", row.SelectedEntity or "")
        for row in page.rows(_MemberShape)
    ]


def selected(found: Iterable[Member], objects: Sequence[str], topic: str) -> dict[str, str]:
    """Return those of the objects that are selected for a topic's channel, with the ids of their members."""
    listed, channel = list(found), channel_of(topic)
    members = {name: [member.id for member in listed if member.selects(name, channel)] for name in objects}
    return {name: " ".join(sorted(ids)) for name, ids in members.items() if ids}


def events_selected(found: Iterable[Member]) -> set[str]:
    """Return the events that count against the limit: each once, whatever its channels."""
    return {member.event for member in found}


async def select(client: Client, object_name: str, topic: str, *, purpose: str) -> None:
    """Select an object. Raises Conflict where the org refuses it, and the client's errors."""
    channel = channel_of(topic)
    body = {
        "FullName": member_name(channel, object_name),
        "Metadata": {"eventChannel": channel, "selectedEntity": event_name(object_name)},
    }
    try:
        await client.post(_PATH, ResultShape, purpose=purpose, body=body)
    except SalesforceError as error:
        if error.reason != "DUPLICATE_VALUE":  # it is selected already
            raise _refused(object_name, channel, error) from error


async def deselect(client: Client, member: Member, *, purpose: str) -> None:
    """Remove a member. Raises the client's errors."""
    await client.command("DELETE", f"{_PATH}/{member.id}", purpose=purpose)


def _refused(object_name: str, channel: str, error: SalesforceError) -> SalesforceError | Conflict:
    """Return the error to raise for a member that the org refuses."""
    text = error.message.lower()
    if "maximum" in text or "limit" in text or error.reason in _TOO_MANY[:2]:
        return Conflict(
            f"{object_name} was not selected: the org has as many objects selected as it may."
            f" {error.message}",
            f"Without the add-on for Change Data Capture these are {FREE_OBJECTS}, over all channels:"
            " free one with `rtsd stream disable OBJECT`, or have Interval Sync read this one.",
        )
    if error.reason in _NO_RIGHT:
        return Conflict(
            f"The user may not select objects for Change Data Capture: {error.message}",
            "Give the login's user Customize Application, or select them in Setup → Change Data Capture.",
        )
    if error.reason in _TOO_MANY:
        return Conflict(
            f"{object_name} cannot be selected for {channel}: {error.message}",
            "Take it out of the command: Interval Sync reads it. Custom channels have to exist before.",
        )
    return error
