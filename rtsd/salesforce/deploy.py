"""Metadata deployments over REST: a zip goes in, and either all of it takes effect or none.

(Metadata API guide, Deploy and Retrieve Metadata with REST.) Parts of the answers are
derived from SOAP: one object may stand where a list is meant, and booleans and numbers may be text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from rtsd.errors import DeployFailed, SalesforceError
from rtsd.salesforce.client import Client

PURPOSE = "package"
"""Under which the ledger counts every call of a deployment."""
_PATH = "metadata/deployRequest"
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
"""Each look at a deployment costs a call; one that runs an org's tests takes an hour."""
_CANCEL_S = 5.0
MOST_TOLD = 50
"""Reasons of a failure that are told; one mistake can have hundreds of consequences."""


@dataclass(frozen=True, slots=True)
class ApexTests:
    """Which Apex tests a deployment runs (Metadata API guide, testLevel)."""

    level: str
    classes: tuple[str, ...] = ()


NO_TESTS = ApexTests("NoTestRun")
"""Sandboxes, scratch orgs and Developer Edition need none; production refuses this level."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deployment is."""

    check_only: bool
    status: str
    components: int
    components_total: int
    tests: int
    tests_total: int
    detail: str
    """What it does now, in Salesforce's words; may be empty."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment that went through."""

    id: str
    components: int
    tests: int
    warnings: tuple[str, ...]


OnProgress = Callable[[Progress], None]


async def deploy(
    client: Client, content: bytes, tests: ApexTests, *, check_only: bool, purge: bool, tell: OnProgress
) -> Deployed:
    """Deploy a zip for `singlePackage`, wait for the end, and tell how it goes.

    `check_only` changes nothing in the org; `purge` deletes without a recycle bin (not in production).
    Raises DeployFailed with every reason, and what the client raises. Cancelled, it cancels the deployment.
    """
    options = {
        "allowMissingFiles": False,
        "autoUpdatePackage": False,
        "checkOnly": check_only,
        "ignoreWarnings": True,  # a component that is to be removed and not there is a warning
        "performRetrieve": False,
        "purgeOnDelete": purge,
        "rollbackOnError": True,
        "singlePackage": True,
        "testLevel": tests.level,
    }
    if tests.classes:
        options["runTests"] = list(tests.classes)
    answer = await client.post_form(_PATH, purpose=PURPOSE, form=lambda: _form(options, content))
    return await _follow(client, answer.data, tell)


async def deploy_validated(client: Client, validated_id: str, tell: OnProgress) -> Deployed:
    """Deploy what a check with tests has validated, without running them again (Quick Deploy)."""
    body = {"validatedDeployRequestId": validated_id}
    answer = await client.post(_PATH, purpose=PURPOSE, body=body, repeatable=False)
    return await _follow(client, answer.data, tell)


async def run_anonymous(client: Client, apex: str) -> None:
    """Run anonymous Apex (Tooling API guide, executeAnonymous). Raises DeployFailed with line and reason."""
    params = {"anonymousBody": apex}
    result = (await client.get("tooling/executeAnonymous/", purpose=PURPOSE, params=params)).data
    if _flag(result.get("success")):
        return
    where = f"line {result.get('line')}, column {result.get('column')}: "
    reason = result.get("compileProblem") or result.get("exceptionMessage") or "no reason was given"
    raise DeployFailed(
        "Anonymous Apex did not run.",
        "The sync user needs the permission Author Apex, and the package has to be deployed.",
        (where + str(reason),),
    )


def _form(options: Mapping[str, Any], content: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    text = msgspec.json.encode({"deployOptions": options}).decode()
    form.add_field("json", text, content_type="application/json")
    form.add_field("file", content, filename="deploy.zip", content_type="application/zip")
    return form


async def _follow(client: Client, created: Mapping[str, Any], tell: OnProgress) -> Deployed:
    """Wait for a deployment's end."""
    deploy_id = str(created["id"])
    result: Mapping[str, Any] = created.get("deployResult") or {}
    pause = _FIRST_PAUSE_S
    try:
        while not _flag(result.get("done")):
            await client.exchange.patience.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
            answer = await client.get(
                f"{_PATH}/{deploy_id}", purpose=PURPOSE, params={"includeDetails": "true"}
            )
            result = answer.data["deployResult"]
            tell(_progress(result))
    except asyncio.CancelledError:
        with suppress(SalesforceError, TimeoutError):
            await asyncio.wait_for(_cancel(client, deploy_id), _CANCEL_S)
        raise
    return _judge(deploy_id, result)


async def _cancel(client: Client, deploy_id: str) -> None:
    body = {"deployResult": {"status": "Canceling"}}
    await client.request("PATCH", f"{_PATH}/{deploy_id}", purpose=PURPOSE, body=body, attempts=1)


def _judge(deploy_id: str, result: Mapping[str, Any]) -> Deployed:
    """Only `success` counts: too little coverage leaves no component in error (seen in live orgs)."""
    details = result.get("details") or {}
    tests = details.get("runTestResult") or details.get("runTestResults") or {}
    if not _flag(result.get("success")):
        raise _failure(result, details, tests)
    warnings = [
        _message(one)
        for one in _many(details.get("componentSuccesses"))
        if one.get("problemType") == "Warning"
    ]
    return Deployed(
        deploy_id,
        components=_count(result.get("numberComponentsDeployed")),
        tests=_count(result.get("numberTestsCompleted")),
        warnings=(*warnings, *_coverage(tests)),
    )


def _failure(result: Mapping[str, Any], details: Mapping[str, Any], tests: Mapping[str, Any]) -> DeployFailed:
    reasons = [_message(one) for one in _many(details.get("componentFailures"))]
    reasons += [_test_failure(one) for one in _many(tests.get("failures"))]
    reasons += _coverage(tests)
    if result.get("errorMessage"):
        reasons.insert(0, str(result["errorMessage"]))
    what = "check" if _flag(result.get("checkOnly")) else "deployment"
    told = tuple(reasons[:MOST_TOLD])
    if len(reasons) > MOST_TOLD:
        told += (f"and {len(reasons) - MOST_TOLD} more",)
    return DeployFailed(
        f"The {what} ended {result.get('status', 'Failed')}: nothing was changed in the org.",
        "Correct what is named; Setup → Deployment Status shows the same.",
        told,
    )


def _message(one: Mapping[str, Any]) -> str:
    """`file:line:column: type name: problem`, as compilers say it."""
    place = str(one.get("fileName") or "")
    for number in (one.get("lineNumber"), one.get("columnNumber")):
        place += f":{_count(number)}" if number is not None else ""
    name = " ".join(str(part) for part in (one.get("componentType"), one.get("fullName")) if part)
    return ": ".join(part for part in (place, name, str(one.get("problem") or "no reason was given")) if part)


def _test_failure(one: Mapping[str, Any]) -> str:
    stack = f" ({one['stackTrace']})" if one.get("stackTrace") else ""
    return f"{one.get('name')}.{one.get('methodName')}: {one.get('message')}{stack}"


def _coverage(tests: Mapping[str, Any]) -> list[str]:
    warnings = _many(tests.get("codeCoverageWarnings"))
    return [
        ": ".join(str(part) for part in (one.get("name"), one.get("message")) if part) for one in warnings
    ]


def _progress(result: Mapping[str, Any]) -> Progress:
    return Progress(
        check_only=_flag(result.get("checkOnly")),
        status=str(result.get("status") or ""),
        components=_count(result.get("numberComponentsDeployed")),
        components_total=_count(result.get("numberComponentsTotal")),
        tests=_count(result.get("numberTestsCompleted")),
        tests_total=_count(result.get("numberTestsTotal")),
        detail=str(result.get("stateDetail") or ""),
    )


def _many(value: Any) -> Sequence[Mapping[str, Any]]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _flag(value: Any) -> bool:
    return value is True or value == "true"


def _count(value: Any) -> int:
    return int(value) if value not in (None, "") else 0
