"""The relay as the org describes it: its subscription, and the user as whom it runs.

Three calls: EventBusSubscriber (Object Reference), PlatformEventSubscriberConfig (Tooling API guide), User.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from msgspec import Struct

from rtsd.core.instant import Millis
from rtsd.core.relay import APEX_TRIGGER, MISSING, Relay, position_fields
from rtsd.errors import AuthenticationFailed, OrgUnreachable, QuotaExhausted, SalesforceError
from rtsd.salesforce import soql
from rtsd.salesforce.client import Client
from rtsd.salesforce.package import PURPOSE
from rtsd.salesforce.shapes import RecordId


class _SubscriberShape(Struct):
    Status: str | None = None
    LastError: str | None = None
    Retries: float | None = None
    LastProcessed: Any = None
    LastPublished: Any = None
    Position: Any = None
    Tip: Any = None


class _ConfigShape(Struct):
    UserId: RecordId | None = None


class _UserShape(Struct):
    Username: str
    IsActive: bool


async def read_relay(client: Client, at: Millis) -> Relay:
    """Return the relay's state as of `at`, in up to three calls.

    What Salesforce does not let the sync user query is unknown. Raises the client's other errors.
    """
    try:
        found = await _subscription(client, at)
    except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
        raise
    except SalesforceError:
        found = Relay(at)
    try:
        return await _with_user(client, found)
    except (AuthenticationFailed, OrgUnreachable, QuotaExhausted):
        raise
    except SalesforceError:
        return found


async def _subscription(client: Client, at: Millis) -> Relay:
    fields = position_fields(client.api_version)
    page = await client.query(soql.event_subscription(APEX_TRIGGER, fields), purpose=PURPOSE)
    rows = page.rows(_SubscriberShape)
    if not rows:
        return Relay(at, status=MISSING)
    row = rows[0]
    return Relay(
        at,
        status=row.Status,
        position=_text(row.LastProcessed if row.LastProcessed is not None else row.Position),
        tip=_text(row.LastPublished if row.LastPublished is not None else row.Tip),
        last_error=row.LastError,
        retries=None if row.Retries is None else int(row.Retries),
    )


async def _with_user(client: Client, found: Relay) -> Relay:
    page = await client.tooling_query(soql.event_subscriber_config(APEX_TRIGGER), purpose=PURPOSE)
    user_id = next((row.UserId for row in page.rows(_ConfigShape)), None)
    if user_id is None:
        return found  # Automated Process
    users = (await client.query(soql.user(user_id), purpose=PURPOSE)).rows(_UserShape)
    return replace(found, user=users[0].Username, user_active=users[0].IsActive) if users else found


def _text(value: object) -> str | None:
    return None if value is None else str(value)
