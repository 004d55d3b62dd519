"""Anonymous Apex around the package: the heartbeat's scheduled jobs, and the test push.

An unmanaged package has no install script, so whoever deploys it runs these through
`GET /tooling/executeAnonymous` (Tooling API guide, executeAnonymous).
"""

from __future__ import annotations

from collections.abc import Iterable

HEARTBEAT_MINUTES = (3, 18, 33, 48)
"""Every 15 minutes; a job's seconds and minutes take one number each (Apex guide, Apex Scheduler)."""

HEARTBEAT_JOBS = tuple(f"RTS Heartbeat {minute:02d}" for minute in HEARTBEAT_MINUTES)
"""Names of the scheduled jobs, unique in the org."""

FEW_MINUTES = (3, 33)
"""For Developer Edition, which takes five scheduled jobs in all."""


def schedule_script(minutes: Iterable[int] = HEARTBEAT_MINUTES) -> str:
    """Return the anonymous Apex that schedules the heartbeats, those that are there replaced."""
    lines = [
        f"System.schedule('RTS Heartbeat {minute:02d}', '0 {minute} * * * ?', new RTS_Schedule());"
        for minute in sorted(set(minutes))
    ]
    return "\n".join([unschedule_script(), *lines])


def unschedule_script() -> str:
    """Return the anonymous Apex that ends the heartbeats.

    A class with a scheduled job can be neither replaced nor deleted (Metadata API guide, Deploy).
    """
    return (
        "for (CronTrigger job : [SELECT Id FROM CronTrigger WHERE CronJobDetail.Name LIKE 'RTS Heartbeat %'])"
        " System.abortJob(job.Id);"
    )


def test_script() -> str:
    """Return the anonymous Apex that sends a test push at once."""
    return "RTS_Ping.send();"
