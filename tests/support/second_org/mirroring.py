"""A mirror of the second org: what it has to reach, and pushes to it."""

from __future__ import annotations

from typing import Any

from tests.support.second_org.equality import differences
from tests.support.second_org.home import Home
from tests.support.second_org.push import Reply, document, post
from tests.support.waiting import eventually

NAMES = ("Account", "Contact", "Device__c", "Attachment", "CaseStatus", "AccountShare", "Region__mdt")
"""The objects that may be mirrored."""


async def reached(
    place: Home, state: str = "live", within: float = 45.0, but: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Wait until every object is in this state; the status then."""
    last: dict[str, Any] = {}

    async def probe() -> bool:
        try:
            last.update(await place.get("/v1/status"))
        except OSError:
            assert place.processes[-1].returncode is None, place.log
            return False
        return all(mirrored["state"] == state for mirrored in last["objects"] if mirrored["name"] not in but)

    try:
        await eventually(probe, f"every object is {state}", within)
    except AssertionError as late:
        raise AssertionError(
            f"{[(o['name'], o['state'], o['error']) for o in last.get('objects', [])]}\n{place.log}"
        ) from late
    return last


async def equal(place: Home, *names: str, within: float = 45.0) -> None:
    """Wait until mirror and org are equal in these objects."""
    last: list[str] = []

    def probe() -> bool:
        last[:] = differences(place, *names)
        return not last

    try:
        await eventually(probe, "equal", within)
    except AssertionError as unequal:
        raise AssertionError("\n".join(last[:20])) from unequal


async def send(place: Home, *changes: dict[str, Any], **more: Any) -> Reply:
    """Push changes, which must be accepted."""
    reply = await post(place.port, document(place.org, *changes, **more))
    assert reply.status == 200, reply
    assert reply.body == {"accepted": len(changes)}
    return reply
