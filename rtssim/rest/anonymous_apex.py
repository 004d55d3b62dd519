"""Anonymous Apex, as far as the package's administration needs it: scheduled jobs and what it sends by hand.

(Tooling API guide, executeAnonymous; Apex Developer Guide, Apex Scheduler; Object Reference, CronTrigger.)
A statement that is none of these is taken as done.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rtssim.apex_package.pushes import Package
    from rtssim.interface import Principal
    from rtssim.org import Org

SCHEDULE = re.compile(
    r"System\.schedule\(\s*'([^']*)'\s*,\s*'([^']*)'\s*,\s*new\s+(\w+)\(\)\s*\)", re.IGNORECASE
)
ABORT = re.compile(
    r"for\s*\(\s*CronTrigger\s+(\w+)\s*:\s*\[\s*(SELECT[^\]]*)\]\s*\)\s*\{?\s*System\.abortJob\(\s*\1\.Id\s*\)",
    re.IGNORECASE,
)
PING = re.compile(r"RTS_Ping\.send\(\)")
ENQUEUE = re.compile(r"System\.enqueueJob\(\s*new\s+(RTS_Heartbeat)\(\)\s*\)", re.IGNORECASE)
_SCHEDULED = "SELECT d.Name FROM CronTrigger t JOIN CronJobDetail d ON d.Id = t.CronJobDetailId"
MOST_JOBS = {"Developer Edition": 5}
"""Scheduled jobs an org takes; 100 elsewhere (Apex Developer Guide, Apex Scheduler Limits)."""


class ApexError(Exception):
    """Code that does not compile (`compiled` False), or threw."""

    def __init__(self, message: str, line: int, *, compiled: bool) -> None:
        super().__init__(message)
        self.line = line
        self.compiled = compiled


class Anonymous:
    """Runs code, all of it or nothing."""

    def __init__(self, org: Org, package: Package) -> None:
        self._org = org
        self._package = package

    def run(self, who: Principal, code: str) -> dict[str, Any]:
        """Run code and return the answer of executeAnonymous."""
        answer: dict[str, Any] = {
            "line": -1,
            "column": -1,
            "compiled": True,
            "success": True,
            "compileProblem": None,
            "exceptionStackTrace": None,
            "exceptionMessage": None,
        }
        try:
            steps = self._steps(who, code)
            with self._org.transaction(who):
                for step in steps:
                    step()
        except ApexError as error:
            told = {"exceptionMessage": str(error)} if error.compiled else {"compileProblem": str(error)}
            answer |= {"line": error.line, "column": 1, "compiled": error.compiled, "success": False, **told}
        return answer

    def _steps(self, who: Principal, code: str) -> list[Callable[[], None]]:
        """Compile: what each statement does, in order. Raises ApexError for a class that is not there."""
        found: list[tuple[int, Callable[[], None]]] = []
        for match in SCHEDULE.finditer(code):
            line = _line(code, match)
            class_id = self._class(match[3], line)
            found.append((match.start(), partial(self._schedule, who, match[1], match[2], class_id, line)))
        found += [(match.start(), partial(self._abort, who, match[2])) for match in ABORT.finditer(code)]
        for pattern, kind, send in (
            (PING, "RTS_Ping", self._package.test),
            (ENQUEUE, "RTS_Heartbeat", self._package.heartbeat),
        ):
            for match in pattern.finditer(code):
                self._class(kind, _line(code, match))
                found.append((match.start(), partial(self._send, send)))
        return [step for _, step in sorted(found, key=lambda one: one[0])]

    def _send(self, send: Callable[[], Coroutine[Any, Any, int | None]]) -> None:
        self._package.later(send())

    def _class(self, name: str, line: int) -> str:
        soql = f"SELECT Id FROM ApexClass WHERE Name = '{name}'"  # noqa: S608 - SOQL, a word
        found = [str(row[0]) for row in self._org.query(self._org.sync_user, soql).rows()]
        if not found:
            raise ApexError(f"Variable does not exist: {name}", line, compiled=False)
        return found[0]

    def _schedule(self, who: Principal, name: str, expression: str, class_id: str, line: int) -> None:
        org = self._org
        # not by SOQL, which reads what is committed: a job aborted a statement before is gone
        known = [row[0] for row in org.store.execute(_SCHEDULED)]
        if name in known:
            text = f'System.AsyncException: The Apex job named "{name}" is already scheduled for execution.'
            raise ApexError(text, line, compiled=True)
        edition = org.query(org.sync_user, "SELECT OrganizationType FROM Organization").rows()
        most = MOST_JOBS.get(next(iter(edition))[0], 100)
        if len(known) >= most:
            text = f"System.LimitException: exceeded the maximum number ({most}) of Apex scheduled jobs."
            raise ApexError(text, line, compiled=True)
        detail = org.create(who, "CronJobDetail", [{"Name": name, "JobType": "7"}])[0].unwrap()
        row = {"CronExpression": expression, "State": "WAITING", "CronJobDetailId": detail}
        trigger = org.create(who, "CronTrigger", [row])[0].unwrap()
        job = {
            "ApexClassId": class_id,
            "JobType": "ScheduledApex",
            "Status": "Queued",
            "CronTriggerId": trigger,
        }
        org.create(who, "AsyncApexJob", [job])[0].unwrap()

    def _abort(self, who: Principal, soql: str) -> None:
        org = self._org
        for (trigger_id,) in list(org.query(org.sync_user, soql).rows()):
            jobs = f"SELECT Id FROM AsyncApexJob WHERE CronTriggerId = '{trigger_id}'"  # noqa: S608 - SOQL, an id
            for (job_id,) in list(org.query(org.sync_user, jobs).rows()):
                org.update(who, "AsyncApexJob", [{"Id": job_id, "Status": "Aborted"}])[0].unwrap()
            details = f"SELECT CronJobDetailId FROM CronTrigger WHERE Id = '{trigger_id}'"  # noqa: S608 - as above
            (detail,) = [row[0] for row in org.query(org.sync_user, details).rows()]
            org.hard_delete(who, "CronTrigger", [trigger_id])[0].unwrap()
            org.hard_delete(who, "CronJobDetail", [detail])[0].unwrap()


def _line(code: str, match: re.Match[str]) -> int:
    return code.count("\n", 0, match.start()) + 1
