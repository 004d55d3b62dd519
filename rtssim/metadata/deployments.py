"""/metadata/deployRequest: deployments over REST (Metadata API guide, Deploy and Retrieve with REST).

The POST checks the zip; the changes take effect at the end. Each poll moves a deployment to its next state;
without polls a deployment ends after a timeout.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from rtssim.clock import rest_stamp
from rtssim.interface import OrgError, not_found
from rtssim.metadata.archive import Archive, MetadataError, read_zip
from rtssim.metadata.coverage import Uncovered, tests_after, uncovered
from rtssim.metadata.deployer import Component, Deployer
from rtssim.routing import Call, Reply, Router

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rtssim.apex_package.pushes import ApexPackage
    from rtssim.faults import Faults
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches

UNPOLLED_S = 30.0
"""Seconds after which a deployment ends without polls."""


@dataclass(eq=False)
class Deployment:
    """A deployment: decided at once, reported step by step, in effect at the end."""

    id: str
    options: dict[str, Any]
    created_at: datetime
    by: str
    components: list[Component] = field(default_factory=list)
    error: str | None = None
    zip_bytes: bytes = b""
    test_failures: list[tuple[str, str]] = field(default_factory=list)
    """Class and message."""
    coverage: list[Uncovered] = field(default_factory=list)
    """What lacks coverage, which fails a deployment without a component error (seen in live orgs)."""
    polls_left: int = 0
    take_effect: Callable[[], None] | None = None
    status: str = "Pending"

    @property
    def failures(self) -> list[Component]:
        """Components with an error."""
        return [component for component in self.components if component.problem and not component.warning]

    @property
    def succeeded(self) -> bool:
        """True if nothing failed."""
        return not (self.error or self.failures or self.test_failures or self.coverage)

    @property
    def is_done(self) -> bool:
        """True if the deployment has ended."""
        return self.status in ("Canceled", "Succeeded", "Failed")

    def poll(self) -> None:
        """Move to the next state."""
        self.polls_left -= 1
        if self.polls_left < 0:
            self.end()
        elif not self.is_done:
            self.status = "InProgress"

    def end(self) -> None:
        """End, and apply the changes if nothing failed."""
        if self.is_done:
            return
        self.status = "Succeeded" if self.succeeded else "Failed"
        if self.succeeded and self.take_effect is not None:
            self.take_effect()

    def document(self, *, details: bool) -> dict[str, Any]:
        """Return the deployResult."""
        done = self.is_done
        tests = self.options.get("runTests") or []
        result: dict[str, Any] = {
            "id": self.id,
            "status": self.status,
            "done": done,
            "success": done and self.status == "Succeeded",
            "checkOnly": bool(self.options.get("checkOnly")),
            "ignoreWarnings": bool(self.options.get("ignoreWarnings")),
            "rollbackOnError": bool(self.options.get("rollbackOnError", True)),
            "runTestsEnabled": bool(tests),
            "numberComponentsTotal": len(self.components),
            "numberComponentsDeployed": len(self.components) - len(self.failures) if done else 0,
            "numberComponentErrors": len(self.failures) if done else 0,
            "numberTestsTotal": len(tests),
            "numberTestsCompleted": len(tests) if done else 0,
            "numberTestErrors": len(self.test_failures) if done else 0,
            "createdBy": self.by,
            "createdByName": "Sync User",
            "createdDate": rest_stamp(self.created_at),
        }
        if done and self.error:
            result["errorMessage"] = self.error
            result["errorStatusCode"] = "UNKNOWN_EXCEPTION"
        if details:
            result["details"] = self._details(tests) if done else _details([], [], [], [])
        return result

    def _details(self, tests: list[str]) -> dict[str, Any]:
        messages = [component.message(self.created_at) for component in self.components]
        failures = [_failure(name, message) for name, message in self.test_failures]
        return _details(messages, tests, failures, self.coverage)


def _failure(name: str, message: str) -> dict[str, Any]:
    trace = f"Class.{name}.runs: line 12, column 1"
    return {"name": name, "methodName": "runs", "message": message, "stackTrace": trace, "type": "Class"}


def _details(
    messages: list[dict[str, Any]],
    tests: list[str],
    failures: list[dict[str, Any]],
    shortfalls: list[Uncovered],
) -> dict[str, Any]:
    """Return the `details` of a deployResult."""
    return {
        "componentFailures": [message for message in messages if not message["success"]],
        "componentSuccesses": [message for message in messages if message["success"]],
        "runTestResult": {
            "numTestsRun": len(tests),
            "numFailures": len(failures),
            "totalTime": 10.0 * len(tests),
            "failures": failures,
            "successes": [{"name": name, "methodName": "all", "time": 10.0} for name in tests],
            "codeCoverage": [
                {"name": each.name, "type": each.type, "numLocations": 1, "numLocationsNotCovered": 1}
                for each in shortfalls
            ],
            "codeCoverageWarnings": [{"name": each.name, "message": each.message} for each in shortfalls],
        },
    }


class Deployments:
    """Answers everything below `/metadata/deployRequest`."""

    def __init__(self, org: Org, package: ApexPackage, faults: Faults, switches: ApiSwitches) -> None:
        self._org = org
        self._package = package
        self._faults = faults
        self._switches = switches
        self._deployer = Deployer(org, switches)
        self._deployments: dict[str, Deployment] = {}

    def routes(self, router: Router) -> None:
        """Serve deployments."""
        router.add("POST", "/metadata/deployRequest", self.create, "deploy_create")
        router.add("GET", "/metadata/deployRequest/{deployment_id}", self.poll, "deploy_poll")
        router.add("PATCH", "/metadata/deployRequest/{deployment_id}", self.cancel, "deploy_cancel")

    def create(self, call: Call) -> Reply:
        """Start a deployment from a zip (multipart) or from a validated deployment's id (JSON); 201."""
        if call.headers.get("Content-Type", "").startswith("multipart/"):
            parts = _multipart(call)
            options = msgspec.json.decode(parts["json"]).get("deployOptions", {})
            content = parts["file"]
        else:
            validated = self._find(str(call.json_object().get("validatedDeployRequestId")))
            options = {**validated.options, "checkOnly": False}
            content = validated.zip_bytes
        deployment = Deployment(
            id=f"0Af{len(self._deployments) + 1:012d}AAA",
            options=options,
            created_at=self._org.clock.now(),
            by=call.session.who.user_id,
            zip_bytes=content,
            polls_left=self._switches.deploy_poll_steps,
        )
        self._deployments[deployment.id] = deployment
        self._check(deployment)
        body = {
            "id": deployment.id,
            "deployOptions": options,
            "deployResult": deployment.document(details=False),
        }
        return Reply(body, 201)

    def _check(self, deployment: Deployment) -> None:
        fault = self._faults.hit(("deploy_failed",))
        if fault is not None:
            deployment.error = str(fault.parameters.get("message", "An internal error has occurred"))
            return
        try:
            archive = read_zip(deployment.zip_bytes)
            deployment.components = self._deployer.check(archive)
        except MetadataError as problem:
            deployment.error = str(problem)
            return
        self._test(deployment, archive)
        if not deployment.options.get("checkOnly"):
            deployment.take_effect = partial(self._apply, archive)
        asyncio.get_running_loop().call_later(UNPOLLED_S, deployment.end)

    def _apply(self, archive: Archive) -> None:
        self._deployer.apply(archive)
        self._package.configuration.reload()

    def _test(self, deployment: Deployment, archive: Archive) -> None:
        """Run tests by test level; production orgs require tests (Metadata API guide, testLevel)."""
        soql = "SELECT OrganizationType, IsSandbox FROM Organization"
        edition, sandbox = next(self._org.query(self._org.sync_user, soql).rows())
        production = not sandbox and edition != "Developer Edition"
        level = deployment.options.get("testLevel") or ("RunLocalTests" if production else "NoTestRun")
        if level == "NoTestRun":
            deployment.options["runTests"] = []
            if production:
                deployment.error = "testLevel of NoTestRun cannot be used in production organizations"
            return
        present = tests_after(archive, self._org, keep_removed=self._switches.removed_tests_run)
        if level != "RunSpecifiedTests":
            deployment.options["runTests"] = present
        tests = deployment.options.get("runTests") or []
        unknown = [name for name in tests if name not in present]
        if unknown or not (tests or level != "RunSpecifiedTests"):
            # that it is refused is known, how Salesforce words it is not
            deployment.error = f"No tests to run: {', '.join(unknown)}"
            return
        failed = self._faults.hit(("test_failed",), " ".join(tests))
        if failed is not None:
            message = str(failed.parameters.get("message", "System.AssertException: Assertion Failed"))
            name = next((test for test in tests if re.search(failed.path, test)), "RTS_Test")
            deployment.test_failures = [(name, message)]
        if deployment.failures:
            return
        deployment.coverage = uncovered(archive, tests if level == "RunSpecifiedTests" else None, self._org)

    def _find(self, deployment_id: str) -> Deployment:
        for known in self._deployments.values():
            if known.id[:15] == deployment_id[:15]:
                return known
        raise not_found()

    def poll(self, call: Call, deployment_id: str) -> Reply:
        """Return a deployment's state; with `?includeDetails=true` also its components."""
        deployment = self._find(deployment_id)
        deployment.poll()
        details = call.query.get("includeDetails") == "true"
        return Reply({"id": deployment.id, "deployResult": deployment.document(details=details)})

    def cancel(self, call: Call, deployment_id: str) -> Reply:
        """Cancel a running deployment, so that nothing takes effect; 202."""
        deployment = self._find(deployment_id)
        if call.json_object().get("deployResult", {}).get("status") != "Canceling":
            raise OrgError(400, "INVALID_OPERATION", "only the status Canceling can be set")
        if deployment.status in ("Pending", "InProgress"):
            deployment.status = "Canceled"
        return Reply({"id": deployment.id, "deployResult": deployment.document(details=False)}, 202)


def _multipart(call: Call) -> dict[str, bytes]:
    """Return the parts `json` and `file` of a multipart body."""
    boundary = re.search(r'boundary="?([^";]+)"?', call.headers.get("Content-Type", ""))
    parts: dict[str, bytes] = {}
    if boundary is not None:
        for part in call.body.split(b"--" + boundary[1].encode()):
            head, found, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="?([^";\r\n]+)"?', head)
            if found and name is not None:
                parts[name[1].decode(errors="replace")] = content.removesuffix(b"\r\n")
    missing = {"json", "file"} - set(parts)
    if missing:
        raise OrgError(400, "INVALID_MULTIPART_REQUEST", f"the parts {sorted(missing)} are missing")
    return parts
