"""Change Data Capture: the names of its events, channels and members, and the objects that may have it.

Facts: Change Data Capture guide, Subscription Channels and Object Support; Tooling API guide,
PlatformEventChannelMember. An object is selected for a channel by a member; names are case-sensitive.
"""

from __future__ import annotations

import re

DEFAULT_CHANNEL = "ChangeEvents"
FREE_OBJECTS = 5
"""Objects that may be selected without the add-on, over all channels (Change Data Capture guide)."""

_TOPIC = "/data/"
_EVENT = "ChangeEvent"
_STANDARD = frozenset(
    (
        *("Account", "Asset", "Campaign", "CampaignMember", "Case", "Contact", "Contract", "EmailMessage"),
        *("Event", "EventRelation", "Lead", "Opportunity", "OpportunityContactRole", "OpportunityLineItem"),
        *("Order", "OrderItem", "Pricebook2", "Product2", "Quote", "QuoteLineItem"),
        *("Task", "TaskRelation", "User"),
    )
)
"""Standard objects that are documented to have change events; there are more, by industry and release."""


def event_name(object_name: str) -> str:
    """Return the change event of an object: `Account` -> `AccountChangeEvent`, `A__c` -> `A__ChangeEvent`."""
    return f"{object_name.removesuffix('c') if object_name.endswith('__c') else object_name}{_EVENT}"


def channel_of(topic: str) -> str:
    """Return the channel by which objects are selected for a topic; a single object's is the default one."""
    last = topic.removeprefix(_TOPIC)
    return last if last.endswith("__chn") else DEFAULT_CHANNEL


def carries(topic: str, object_name: str) -> bool:
    """Return whether a topic can carry an object's events: a channel can, and another object's cannot."""
    last = topic.removeprefix(_TOPIC)
    return not last.endswith(_EVENT) or last == event_name(object_name)


def member_name(channel: str, object_name: str) -> str:
    """Return the full name of a member, which has single underscores (Metadata API guide)."""
    return f"{re.sub('_+', '_', channel)}_{re.sub('_+', '_', event_name(object_name))}"


def may_be_captured(object_name: str) -> bool | None:
    """Return whether an object has change events; None if only the org knows."""
    if object_name.endswith(("__e", "__mdt", "__x", "__b", "__History", "__Share", "__Feed")):
        return False
    return True if object_name.endswith("__c") or object_name in _STANDARD else None
