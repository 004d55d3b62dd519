"""Metadata deployments: what is sent, and each way in which an answer tells of failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import pytest
from aiohttp import web

from rtsd.errors import DeployFailed
from rtsd.salesforce import deploy
from rtsd.salesforce.deploy import NO_TESTS, ApexTests, Progress
from tests.support.salesforce.bench import Bench, Script

REQUEST = "/services/data/v66.0/metadata/deployRequest"
ID = "0Af000000000001AAA"


def result(status: str, **more: Any) -> dict[str, Any]:
    """An answer to a look at a deployment."""
    done = status in ("Succeeded", "Failed", "SucceededPartial", "Canceled")
    body = {"id": ID, "status": status, "done": done, "success": status == "Succeeded", **more}
    return {"id": ID, "deployResult": body}


def scripted(bench: Bench, script: type[Script], *looks: dict[str, Any]) -> None:
    """Let the org take a deployment, and answer these looks in turn."""
    bench.org.on(f"POST {REQUEST}", script.answer(201, result("Pending")))
    bench.org.on(f"GET {REQUEST}/{ID}", *(script.answer(200, look) for look in looks))


async def run(
    bench: Bench, tests: ApexTests = NO_TESTS, progress: list[Progress] | None = None
) -> deploy.Deployed:
    """Deploy something."""
    client = await bench.client()
    told = progress if progress is not None else []
    return await deploy.deploy(
        client, b"PK-zip", tests, check_only=False, purge=True, on_progress=told.append
    )


async def test_zip_and_options_are_sent_and_every_call_is_in_the_ledger(
    bench: Bench, script: type[Script]
) -> None:
    """Two parts; all or nothing; the purpose is `package`; progress is told as it comes."""
    scripted(
        bench,
        script,
        result("InProgress", numberComponentsTotal=3, numberComponentsDeployed=1, stateDetail="Processing"),
        result("Succeeded", numberComponentsDeployed=3, numberTestsCompleted=2),
    )
    told: list[Progress] = []
    done = await run(bench, ApexTests("RunSpecifiedTests", ("RTS_Test",)), told)
    assert (done.components, done.tests) == (3, 2)
    assert [(progress.status, progress.components, progress.detail) for progress in told] == [
        ("InProgress", 1, "Processing"),
        ("Succeeded", 3, ""),
    ]
    sent = next(body for body in bench.org.bodies if "deployOptions" in body)
    options = json.loads(sent[sent.index('{"deployOptions"') : sent.index("}}") + 2])["deployOptions"]
    assert (options["rollbackOnError"], options["singlePackage"], options["purgeOnDelete"]) == (
        True,
        True,
        True,
    )
    assert (options["testLevel"], options["runTests"]) == ("RunSpecifiedTests", ["RTS_Test"])
    assert 'filename="deploy.zip"' in sent
    assert "PK-zip" in sent
    assert bench.ledger.sent_by["package", "DailyApiRequests"] == 3
    assert all(purpose in ("package", "login") for purpose, _ in bench.ledger.sent_by)


FAILURE = {
    "componentType": "ApexClass",
    "fullName": "RTS_Sender",
    "fileName": "classes/RTS_Sender.cls",
    "problem": "Variable does not exist: x",
    "lineNumber": "12",
    "columnNumber": 9,
}
TEST = {"name": "RTS_Test", "methodName": "sends", "message": "Assertion Failed", "stackTrace": "line 4"}


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"componentFailures": [FAILURE]}, "classes/RTS_Sender.cls:12:9: ApexClass RTS_Sender: Variable"),
        ({"componentFailures": FAILURE}, "classes/RTS_Sender.cls:12:9: "),  # one, where a list is meant
        ({"runTestResult": {"failures": TEST}}, "RTS_Test.sends: Assertion Failed (line 4)"),
        ({"runTestResults": {"failures": [TEST]}}, "RTS_Test.sends: "),  # as one guide spells it
        ({"runTestResult": {"codeCoverageWarnings": {"name": "RTS_X", "message": "0 %"}}}, "RTS_X: 0 %"),
    ],
)
async def test_every_reason_is_told(
    details: dict[str, Any], reason: str, bench: Bench, script: type[Script]
) -> None:
    """Components with file and line, tests with their stack, coverage, whatever its spelling."""
    scripted(bench, script, result("Failed", details=details))
    with pytest.raises(DeployFailed) as caught:
        await run(bench)
    (told,) = caught.value.details
    assert told.startswith(reason)


@pytest.mark.parametrize(
    ("tests", "names"),
    [
        ({"codeCoverageWarnings": {"name": "RTS_X", "message": "0 %"}}, ("RTS_X",)),
        (
            {
                "codeCoverageWarnings": [{"name": None, "message": "Average test coverage is 60%"}],
                "codeCoverage": [
                    {"name": "RTS_X", "numLocations": "4", "numLocationsNotCovered": "2"},
                    {"name": "RTS_Y", "numLocations": 4, "numLocationsNotCovered": 1},
                ],
            },
            ("RTS_X",),
        ),
        ({"failures": [TEST]}, ("RTS_Test.sends",)),
    ],
)
async def test_what_the_tests_did_not_reach_is_named(
    tests: dict[str, Any], names: tuple[str, ...], bench: Bench, script: type[Script]
) -> None:
    """By the warning, or by the coverage of each if the warning is about all; and failed methods."""
    scripted(bench, script, result("Failed", details={"runTestResult": tests}))
    with pytest.raises(DeployFailed) as caught:
        await run(bench)
    assert caught.value.untested == names


async def test_only_success_counts(bench: Bench, script: type[Script]) -> None:
    """Done without errors in any component, but not a success: Salesforce's own word decides."""
    scripted(bench, script, result("Succeeded", success="false", numberComponentErrors=0))
    with pytest.raises(DeployFailed):
        await run(bench)
    scripted(bench, script, result("Succeeded", success="true", done="true"))
    assert (await run(bench)).id == ID


async def test_a_thousand_reasons_are_cut_short(bench: Bench, script: type[Script]) -> None:
    """One mistake has many consequences: the first ones and their number are enough."""
    scripted(bench, script, result("Failed", details={"componentFailures": [FAILURE] * 1000}))
    with pytest.raises(DeployFailed) as caught:
        await run(bench)
    assert len(caught.value.details) == deploy.MAX_REASONS + 1
    assert caught.value.details[-1] == f"and {1000 - deploy.MAX_REASONS} more"


async def test_interrupted_it_cancels_what_it_began(bench: Bench, script: type[Script]) -> None:
    """Ctrl-C does not leave a deployment running that nobody waits for."""
    looked = asyncio.Event()

    def look(request: web.Request) -> web.StreamResponse | Awaitable[web.StreamResponse]:
        looked.set()
        return script.answer(200, result("InProgress"))(request)

    bench.org.on(f"POST {REQUEST}", script.answer(201, result("Pending")))
    bench.org.on(f"GET {REQUEST}/{ID}", look)
    bench.org.on(f"PATCH {REQUEST}/{ID}", script.answer(202, result("Canceling")))
    bench.pauses.real = 0.01
    task = asyncio.create_task(run(bench))
    await looked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.org.calls[-1].method == "PATCH"


async def test_anonymous_apex_says_where_it_failed(bench: Bench, script: type[Script]) -> None:
    """It is answered 200 whatever becomes of it."""
    path = "/services/data/v66.0/tooling/executeAnonymous/"
    failed = {
        "success": False,
        "compiled": False,
        "line": 2,
        "column": 5,
        "compileProblem": "Unexpected token",
    }
    bench.org.on(f"GET {path}", script.answer(200, failed), script.answer(200, {"success": True}))
    client = await bench.client()
    with pytest.raises(DeployFailed) as caught:
        await deploy.run_anonymous(client, "x;")
    assert caught.value.details == ("line 2, column 5: Unexpected token",)
    await deploy.run_anonymous(client, "RTS_Ping.send();")
