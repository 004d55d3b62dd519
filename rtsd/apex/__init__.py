"""The Salesforce package: its source, and the file trees and zip archives generated for a deployment.

`force-app` contains the files that depend on the channel alone; triggers, their tests, the remote site and
the relay's user are generated per org. Generation is deterministic, so that a hash identifies a deployment.
Nothing here talks to an org.
"""

from __future__ import annotations

from rtsd.apex.bundle import components, metadata_zip, retirement_zip
from rtsd.apex.jobs import (
    HEARTBEAT_JOBS,
    abort_script,
    disable_script,
    schedule_script,
    test_script,
    unassign_script,
    unschedule_script,
)
from rtsd.apex.names import trigger_name, trigger_names
from rtsd.apex.removal import destructive_zip, last_zip
from rtsd.apex.source import (
    CORE,
    GENERATED,
    PACKAGE,
    PAGES,
    RELAY_NOTE,
    REMOVAL_TEST,
    TEST_CLASSES,
    TRIGGERS_CLASS,
    VERSION,
    left_out_of,
    metadata,
    page,
    sfdx_project,
)

__all__ = [
    "CORE",
    "GENERATED",
    "HEARTBEAT_JOBS",
    "PACKAGE",
    "PAGES",
    "RELAY_NOTE",
    "REMOVAL_TEST",
    "TEST_CLASSES",
    "TRIGGERS_CLASS",
    "VERSION",
    "abort_script",
    "components",
    "destructive_zip",
    "disable_script",
    "last_zip",
    "left_out_of",
    "metadata",
    "metadata_zip",
    "page",
    "retirement_zip",
    "schedule_script",
    "sfdx_project",
    "test_script",
    "trigger_name",
    "trigger_names",
    "unassign_script",
    "unschedule_script",
]
