"""The package's source as it is checked: for objects that every analyser knows."""

from __future__ import annotations

import pytest

from rtsd.apex import (
    abort_script,
    disable_script,
    schedule_script,
    sfdx_project,
    test_script,
    unassign_script,
    unschedule_script,
)
from tests.support.apex import analysers

OBJECTS = ["Account", "CampaignMember", "Contact", "Task", "User"]
SCRIPTS = "force-app/main/default/classes/RTS_Scripts.cls"
FRAME = """public without sharing class RTS_Scripts {{
    public static void run() {{
{}
    }}
}}
"""


@pytest.fixture(scope="session")
def tree() -> dict[str, bytes]:
    """The project that is deployed."""
    return sfdx_project(OBJECTS, "https://rts.example.com", "66.0")


@pytest.fixture(scope="session")
def scripts(tree: dict[str, bytes]) -> dict[str, bytes]:
    """The anonymous Apex, in a class of its own so that it is compiled as well."""
    scripts = [
        schedule_script(),
        unschedule_script().replace("job", "other"),
        abort_script(),
        disable_script(),
        unassign_script(),
        test_script(),
    ]
    code = "\n".join(scripts)
    meta = tree["force-app/main/default/classes/RTS_Ping.cls-meta.xml"]
    return {SCRIPTS: FRAME.format(code).encode(), f"{SCRIPTS}-meta.xml": meta}


@pytest.fixture(scope="session")
def java() -> None:
    """Skip, and say why, where the analysers can't run."""
    reason = analysers.missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def compiler() -> None:
    """Skip, and say why, where the compiler can't run."""
    reason = analysers.compiler_missing()
    if reason is not None:
        pytest.skip(reason)
