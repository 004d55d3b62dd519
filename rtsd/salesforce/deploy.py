"""Metadata deployments over REST: a zip archive takes effect completely or not at all.

(Metadata API guide, Deploy and Retrieve Metadata with REST.) Parts of the responses derive from SOAP: a list
with a single item may be a bare object, and booleans and numbers may be text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from rtsd.errors import DeployFailed, SalesforceError
from rtsd.salesforce.client import Client
from rtsd.salesforce.shapes import DeploymentShape, DeployRequestShape, DetailsShape, Row, odd

PURPOSE = "package"
"""The ledger's purpose for every call of a deployment."""
_PATH = "metadata/deployRequest"
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
"""Every poll costs a call, and a deployment that runs an org's tests can take an hour."""
_CANCEL_S = 5.0
NO_REASON = "no reason was given"
MIN_COVERAGE = 0.75
"""Of each class and Apex trigger in a deployment with RunSpecifiedTests (Metadata API guide, testLevel)."""
MAX_REASONS = 50
"""Reasons listed for a failure; a single mistake can have hundreds of consequences."""


@dataclass(frozen=True, slots=True)
class ApexTests:
    """The Apex tests that a deployment runs (Metadata API guide, testLevel)."""

    level: str
    classes: tuple[str, ...] = ()


NO_TESTS = ApexTests("NoTestRun")
"""For sandboxes, scratch orgs and Developer Edition; production rejects this level."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a deployment."""

    check_only: bool
    status: str
    components: int
    components_total: int
    tests: int
    tests_total: int
    detail: str
    """Salesforce's description of the current step; may be empty."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A successful deployment."""

    id: str
    components: int
    tests: int
    warnings: tuple[str, ...]


OnProgress = Callable[[Progress], None]


async def deploy(
    client: Client,
    content: bytes,
    tests: ApexTests,
    *,
    check_only: bool,
    purge: bool,
    on_progress: OnProgress,
) -> Deployed:
    """Deploy a zip archive in `singlePackage` layout and wait for the end, reporting progress.

    `check_only` changes nothing in the org; `purge` bypasses the recycle bin (not in production). Raises
    DeployFailed with every reason, and the client's errors. Cancelling the task cancels the deployment.
    """
    options = {
        "allowMissingFiles": False,
        "autoUpdatePackage": False,
        "checkOnly": check_only,
        "ignoreWarnings": True,  # removing a component that does not exist is a warning
        "performRetrieve": False,
        "purgeOnDelete": purge,
        "rollbackOnError": True,
        "singlePackage": True,
        "testLevel": tests.level,
    }
    if tests.classes:
        options["runTests"] = list(tests.classes)
    answer = await client.post_form(
        _PATH, DeployRequestShape, purpose=PURPOSE, form=lambda: _form(options, content)
    )
    return await _wait(client, answer.data, on_progress)


async def deploy_validated(client: Client, validated_id: str, on_progress: OnProgress) -> Deployed:
    """Deploy a validated check without running its tests again (Quick Deploy)."""
    body = {"validatedDeployRequestId": validated_id}
    answer = await client.post(_PATH, DeployRequestShape, purpose=PURPOSE, body=body, repeatable=False)
    return await _wait(client, answer.data, on_progress)


async def run_anonymous(client: Client, apex: str) -> None:
    """Run anonymous Apex (Tooling API guide, executeAnonymous). Raises DeployFailed with line and reason."""
    params = {"anonymousBody": apex}
    result = (await client.get("tooling/executeAnonymous/", Row, purpose=PURPOSE, params=params)).data
    if _flag(result.get("success")):
        return
    place = f"line {result.get('line')}, column {result.get('column')}: "
    reason = result.get("compileProblem") or result.get("exceptionMessage") or NO_REASON
    raise DeployFailed(
        "Anonymous Apex did not run.",
        "The sync user needs the permission Author Apex, and the package has to be deployed.",
        (place + str(reason),),
    )


def _form(options: Mapping[str, Any], content: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    text = msgspec.json.encode({"deployOptions": options}).decode()
    form.add_field("json", text, content_type="application/json")
    form.add_field("file", content, filename="deploy.zip", content_type="application/zip")
    return form


async def _wait(client: Client, created: DeployRequestShape, on_progress: OnProgress) -> Deployed:
    """Poll a deployment until its end."""
    deploy_id = created.id
    result = created.deploy_result or DeploymentShape()
    pause = _FIRST_PAUSE_S
    try:
        while not _flag(result.done):
            await client.exchange.retrier.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_S)
            path, params = f"{_PATH}/{deploy_id}", {"includeDetails": "true"}
            answer = await client.get(path, DeployRequestShape, purpose=PURPOSE, params=params)
            if answer.data.deploy_result is None:
                raise odd("a deployment", "it has no deployResult")
            result = answer.data.deploy_result
            on_progress(_progress(result))
    except asyncio.CancelledError:
        with suppress(SalesforceError, TimeoutError):
            await asyncio.wait_for(_cancel(client, deploy_id), _CANCEL_S)
        raise
    return _deployed(deploy_id, result)


async def _cancel(client: Client, deploy_id: str) -> None:
    body = {"deployResult": {"status": "Canceling"}}
    await client.command("PATCH", f"{_PATH}/{deploy_id}", purpose=PURPOSE, body=body, attempts=1)


def _deployed(deploy_id: str, result: DeploymentShape) -> Deployed:
    """The result of a success. Only `success` counts: low coverage fails no component (seen in live orgs)."""
    details = result.details or DetailsShape()
    tests = details.run_test_result or details.run_test_results or {}
    if not _flag(result.success):
        raise _failure(result, details, tests)
    warnings = [
        _message(component)
        for component in _many(details.component_successes)
        if component.get("problemType") == "Warning"
    ]
    return Deployed(
        deploy_id,
        components=_count(result.number_components_deployed),
        tests=_count(result.number_tests_completed),
        warnings=(*warnings, *_coverage(tests)),
    )


def _failure(result: DeploymentShape, details: DetailsShape, tests: Mapping[str, Any]) -> DeployFailed:
    reasons = [_message(component) for component in _many(details.component_failures)]
    reasons += [_test_failure(failure) for failure in _many(tests.get("failures"))]
    reasons += _coverage(tests)
    if result.error_message:
        reasons.insert(0, str(result.error_message))
    what = "check" if _flag(result.check_only) else "deployment"
    listed = tuple(reasons[:MAX_REASONS])
    if len(reasons) > MAX_REASONS:
        listed += (f"and {len(reasons) - MAX_REASONS} more",)
    return DeployFailed(
        f"The {what} ended {result.status or 'Failed'}: nothing was changed in the org.",
        "Correct the components below; Setup → Deployment Status lists them too.",
        listed,
        tuple(_untested(tests)),
    )


def _untested(tests: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of what has too little coverage, and of failed test methods.

    A coverage warning without a name is about several components (Metadata API guide, CodeCoverageWarning):
    then `codeCoverage` names them.
    """
    warnings = _many(tests.get("codeCoverageWarnings"))
    yield from (str(warning["name"]) for warning in warnings if warning.get("name"))
    if any(not warning.get("name") for warning in warnings):
        yield from (str(code.get("name")) for code in _many(tests.get("codeCoverage")) if _is_uncovered(code))
    for failure in _many(tests.get("failures")):
        yield f"{failure.get('name')}.{failure.get('methodName')}"


def _is_uncovered(code: Mapping[str, Any]) -> bool:
    """Whether a CodeCoverageResult is below the coverage that Salesforce requires."""
    total, missed = _count(code.get("numLocations")), _count(code.get("numLocationsNotCovered"))
    return total > 0 and (total - missed) / total < MIN_COVERAGE


def _message(component: Mapping[str, Any]) -> str:
    """`file:line:column: type name: problem`, the format of compilers."""
    place = str(component.get("fileName") or "")
    for number in (component.get("lineNumber"), component.get("columnNumber")):
        place += f":{_count(number)}" if number is not None else ""
    name = " ".join(str(part) for part in (component.get("componentType"), component.get("fullName")) if part)
    return ": ".join(part for part in (place, name, str(component.get("problem") or NO_REASON)) if part)


def _test_failure(failure: Mapping[str, Any]) -> str:
    stack = f" ({failure['stackTrace']})" if failure.get("stackTrace") else ""
    return f"{failure.get('name')}.{failure.get('methodName')}: {failure.get('message')}{stack}"


def _coverage(tests: Mapping[str, Any]) -> list[str]:
    warnings = _many(tests.get("codeCoverageWarnings"))
    return [
        ": ".join(str(part) for part in (warning.get("name"), warning.get("message")) if part)
        for warning in warnings
    ]


def _progress(result: DeploymentShape) -> Progress:
    return Progress(
        check_only=_flag(result.check_only),
        status=str(result.status or ""),
        components=_count(result.number_components_deployed),
        components_total=_count(result.number_components_total),
        tests=_count(result.number_tests_completed),
        tests_total=_count(result.number_tests_total),
        detail=str(result.state_detail or ""),
    )


def _many(value: Any) -> Sequence[Mapping[str, Any]]:
    if value is None:
        return []
    found = value if isinstance(value, list) else [value]
    return [item for item in found if isinstance(item, Mapping)]


def _flag(value: Any) -> bool:
    return value is True or value == "true"


def _count(value: Any) -> int:
    """A number, which may be text; only shown, so that 0 stands for anything else."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
