"""The simulated org driven by jsforce, through one node script that prints what each step gave."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "jsforce"
INSTALL_S, RUN_S = 180, 60


@pytest.fixture(scope="module")
def seen(simulated: Mapping[str, Any]) -> dict[str, Any]:
    """What jsforce saw; skipped with the reason where node or the packages can't be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("jsforce needs node and npm on the PATH")
    if not (HERE / "node_modules" / "jsforce").is_dir():
        installed = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund"],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
        if installed.returncode:
            pytest.skip(f"npm ci could not install jsforce: {installed.stderr.strip()[-300:]}")
    ran = subprocess.run(
        [node, "drive.mjs"],
        cwd=HERE,
        input=json.dumps({**simulated, "version": "62.0"}),
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def test_logins(seen: dict[str, Any], simulated: Mapping[str, Any]) -> None:
    """Client credentials, SOAP login and a refresh (chunked form bodies) all work; a bad login is refused."""
    assert seen["authorize"]["organizationId"] == simulated["org_id"]
    assert seen["soap_login"] == seen["authorize"]
    assert seen["soap_login_refused"]["message"].startswith("INVALID_LOGIN")
    assert seen["refresh"] == 1
    assert seen["identity"]["username"] == simulated["username"]
    assert seen["revoke"] == "done"


def test_describe(seen: dict[str, Any]) -> None:
    """It reads describeGlobal and describe."""
    assert {"Account", "Contact", "Lead", "User"} <= set(seen["describe_global"])
    assert seen["describe"]["keyPrefix"] == "003"
    assert {"Id", "LastName", "Email", "SystemModstamp"} <= set(seen["describe"]["fields"])


def test_records(seen: dict[str, Any]) -> None:
    """Records are created, read, changed and deleted, one by one and as collections."""
    assert [row["success"] for row in seen["create"]] == [True, True, True]
    assert seen["retrieve_one"]["LastName"] == "Zoë 🚀"
    assert [row["LastName"] for row in seen["retrieve_many"]] == ["Zoë 🚀", "O'Brien", "Third"]
    assert seen["update"]["success"]
    assert seen["delete"]["success"]
    assert seen["create_refused"]["failed"] == "REQUIRED_FIELD_MISSING"


def test_queries(seen: dict[str, Any]) -> None:
    """Queries page to the end, count, fail in Salesforce's words, and see deleted rows with scanAll."""
    assert seen["query"]["totalSize"] == 3
    assert seen["query"]["records"][0]["Account"] is None
    assert seen["query_refused"]["failed"] == "INVALID_FIELD"
    assert seen["all_pages"] == seen["count"] > 2_000
    assert seen["scan_all"]["records"][0]["IsDeleted"] is True


def test_replication(seen: dict[str, Any]) -> None:
    """/updated and /deleted name what changed."""
    third = seen["create"][2]["id"]
    assert third in [row["id"] for row in seen["deleted"]["deletedRecords"]]
    assert seen["create"][0]["id"] in seen["updated"]["ids"]


def test_bulk(seen: dict[str, Any]) -> None:
    """Bulk 2.0 results parse to the rows, newlines and quotes inside."""
    rows = {row["LastName"]: row["Description"] for row in seen["bulk2"]}
    assert rows == {"Zoë 🚀": 'line\nbreak "quoted", comma', "O'Brien": ""}
    assert seen["bulk2_all"] == seen["count"] - 1  # one was deleted in between


def test_rest(seen: dict[str, Any]) -> None:
    """Limits, the usage header, tooling queries, versions and composite references."""
    assert seen["limits"]["Remaining"] < seen["limits"]["Max"]
    assert seen["limit_info"]["used"] > 0
    assert seen["tooling"]["done"] is True
    assert seen["versions"][-1]["version"] > "60.0"
    made, read = seen["composite"]["compositeResponse"]
    assert made["httpStatusCode"] == 201
    assert read["body"]["Name"] == "Composite"
