"""Anonymous Apex for the package: scheduling the heartbeat, ending its jobs, and a test push.

An unmanaged package has no install script, so a deployment runs these scripts through
`GET /tooling/executeAnonymous` (Tooling API guide, executeAnonymous).
"""

from __future__ import annotations

from collections.abc import Iterable

HEARTBEAT_MINUTES = (3, 18, 33, 48)
"""Every 15 minutes: a job's schedule takes a single minute (Apex guide, Apex Scheduler)."""

HEARTBEAT_JOBS = tuple(f"RTS Heartbeat {minute:02d}" for minute in HEARTBEAT_MINUTES)
"""Names of the scheduled jobs, unique in the org."""

FEW_MINUTES = (3, 33)
"""For Developer Edition, which allows five scheduled jobs in total."""


def schedule_script(minutes: Iterable[int] = HEARTBEAT_MINUTES) -> str:
    """Return the anonymous Apex that schedules the heartbeats, replacing existing ones."""
    lines = [
        f"System.schedule('RTS Heartbeat {minute:02d}', '0 {minute} * * * ?', new RTS_Schedule());"
        for minute in sorted(set(minutes))
    ]
    return "\n".join([unschedule_script(), *lines])


def unschedule_script() -> str:
    """Return the anonymous Apex that aborts the scheduled heartbeats.

    A class with a scheduled job cannot be replaced or deleted (Metadata API guide, Deploy).
    """
    return (
        "for (Schema.CronTrigger job : [SELECT Id FROM CronTrigger"
        " WHERE CronJobDetail.Name LIKE 'RTS Heartbeat %'])"
        " System.abortJob(job.Id);"
    )


def abort_script() -> str:
    """Return the anonymous Apex that aborts the waiting jobs of the package, such as retries in ten minutes.

    A class with such a job cannot be deleted either. Jobs under way end by themselves, within seconds.
    (Apex Reference, System.abortJob; Object Reference, AsyncApexJob.)
    """
    return (
        "for (Schema.AsyncApexJob waiting : [SELECT Id FROM AsyncApexJob"
        " WHERE ApexClass.Name IN ('RTS_Heartbeat', 'RTS_Sender')"
        " AND Status IN ('Holding', 'Queued', 'Preparing') LIMIT 100])"
        " System.abortJob(waiting.Id);"
    )


def disable_script() -> str:
    """Return the anonymous Apex that sets Disable RTS for the org, so that no new job starts."""
    return (
        "RTS_Settings__c settings = RTS_Settings__c.getOrgDefaults();\n"
        "settings.Disable_RTS__c = true;\n"
        "System.Database.upsert(settings, System.AccessLevel.SYSTEM_MODE);"
    )


def unassign_script() -> str:
    """Return the anonymous Apex that deletes the assignments of the package's permission sets.

    A permission set with assignments cannot be deleted. It runs apart from `disable_script`: assignments and
    settings cannot change in one transaction (Apex guide, sObjects That Cannot Be Used Together in DML).
    """
    return (
        "System.Database.delete([SELECT Id FROM PermissionSetAssignment"
        " WHERE PermissionSet.Name IN ('RTS_Admin', 'RTS_Sync')], System.AccessLevel.SYSTEM_MODE);"
    )


def test_script() -> str:
    """Return the anonymous Apex that sends a test push.

    It then notes in the settings which objects have sync conditions: after the callout, as a transaction with
    uncommitted work makes none (Apex guide, Callout Limits and Limitations).
    """
    return "RTS_Ping.send();\nRTS_Conditions.run();"
