"""Anonymous Apex, limited to administration of the package: scheduled jobs, ping and heartbeat.

(Tooling API guide, executeAnonymous; Apex Developer Guide, Apex Scheduler; Object Reference, CronTrigger.)
Any other statement succeeds without effect.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from rtssim.apex_package.pushes import ApexPackage
    from rtssim.interface import Principal
    from rtssim.org import Org

SCHEDULE = re.compile(
    r"System\.schedule\(\s*'([^']*)'\s*,\s*'([^']*)'\s*,\s*new\s+(\w+)\(\)\s*\)", re.IGNORECASE
)
ABORT = re.compile(
    r"for\s*\(\s*(?:Schema\.)?(?:CronTrigger|AsyncApexJob)\s+(\w+)\s*:\s*\[\s*(SELECT[^\]]*)\]\s*\)"
    r"\s*\{?\s*System\.abortJob\(\s*\1\.Id\s*\)",
    re.IGNORECASE,
)
DISABLE = re.compile(
    r"RTS_Settings__c\s+(\w+)\s*=\s*RTS_Settings__c\.getOrgDefaults\(\);\s*\1\.Disable_RTS__c\s*=\s*true;"
    r"\s*System\.Database\.upsert\(\1\b",
    re.IGNORECASE,
)
DELETE = re.compile(
    r"System\.Database\.delete\(\s*\[\s*(SELECT\s+Id\s+FROM\s+(\w+)[^\]]*)\]\s*[,)]", re.IGNORECASE
)
PING = re.compile(r"RTS_Ping\.send\(\)")
ENQUEUE = re.compile(r"System\.enqueueJob\(\s*new\s+(RTS_Heartbeat)\(\)\s*\)", re.IGNORECASE)
_SCHEDULED = "SELECT d.Name FROM CronTrigger t JOIN CronJobDetail d ON d.Id = t.CronJobDetailId"
MOST_JOBS = {"Developer Edition": 5}
"""Scheduled jobs per org; 100 in other editions (Apex Developer Guide, Apex Scheduler Limits)."""


class ApexError(Exception):
    """A compile error (`compiled` False) or an exception in anonymous Apex."""

    def __init__(self, message: str, line: int, *, compiled: bool) -> None:
        super().__init__(message)
        self.line = line
        self.compiled = compiled


class AnonymousApex:
    """Runs code in a transaction."""

    def __init__(self, org: Org, package: ApexPackage) -> None:
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
            key = "exceptionMessage" if error.compiled else "compileProblem"
            answer |= {"line": error.line, "column": 1, "compiled": error.compiled, "success": False}
            answer[key] = str(error)
        return answer

    def _steps(self, who: Principal, code: str) -> list[Callable[[], None]]:
        """Compile code into the steps of its statements, in order; raises ApexError for an unknown class."""
        found: list[tuple[int, Callable[[], None]]] = []
        for match in SCHEDULE.finditer(code):
            line = _line(code, match)
            class_id = self._class(match[3], line)
            found.append((match.start(), partial(self._schedule, who, match[1], match[2], class_id, line)))
        found += [(match.start(), partial(self._abort, who, match[2])) for match in ABORT.finditer(code)]
        found += [(match.start(), partial(self._disable, who)) for match in DISABLE.finditer(code)]
        for match in DELETE.finditer(code):
            found.append((match.start(), partial(self._delete, who, match[2], match[1])))
        for pattern, kind, send in (
            (PING, "RTS_Ping", self._package.ping),
            (ENQUEUE, "RTS_Heartbeat", self._package.heartbeat),
        ):
            for match in pattern.finditer(code):
                self._class(kind, _line(code, match))
                found.append((match.start(), partial(self._send, send)))
        return [step for _, step in sorted(found, key=lambda item: item[0])]

    def _send(self, send: Callable[[], Coroutine[Any, Any, int | None]]) -> None:
        self._package.enqueue(send())

    def _class(self, name: str, line: int) -> str:
        found = self._org.first_column(f"SELECT Id FROM ApexClass WHERE Name = '{name}'")
        if not found:
            raise ApexError(f"Variable does not exist: {name}", line, compiled=False)
        return str(found[0])

    def _schedule(self, who: Principal, name: str, expression: str, class_id: str, line: int) -> None:
        org = self._org
        # not by SOQL, which reads committed rows only: an earlier statement may have aborted a job
        known = [row[0] for row in org.database.execute(_SCHEDULED)]
        if name in known:
            text = f'System.AsyncException: The Apex job named "{name}" is already scheduled for execution.'
            raise ApexError(text, line, compiled=True)
        (edition,) = org.first_column("SELECT OrganizationType FROM Organization")
        most = MOST_JOBS.get(edition, 100)
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
        """Abort jobs by the id of their CronTrigger or AsyncApexJob (Apex Reference, System.abortJob)."""
        for job_id in self._org.first_column(soql):
            if "CronTrigger" in soql:
                self._abort_scheduled(who, job_id)
            else:
                self._end(who, job_id)

    def _abort_scheduled(self, who: Principal, trigger_id: str) -> None:
        org = self._org
        for job_id in org.first_column(f"SELECT Id FROM AsyncApexJob WHERE CronTriggerId = '{trigger_id}'"):
            self._end(who, job_id)
        details = f"SELECT CronJobDetailId FROM CronTrigger WHERE Id = '{trigger_id}'"
        (detail,) = org.first_column(details)
        org.hard_delete(who, "CronTrigger", [trigger_id])[0].unwrap()
        org.hard_delete(who, "CronJobDetail", [detail])[0].unwrap()

    def _end(self, who: Principal, job_id: str) -> None:
        self._org.update(who, "AsyncApexJob", [{"Id": job_id, "Status": "Aborted"}])[0].unwrap()

    def _delete(self, who: Principal, obj: str, soql: str) -> None:
        for result in self._org.delete(who, obj, self._org.first_column(soql)):
            result.unwrap()

    def _disable(self, who: Principal) -> None:
        settings = f"SELECT Id FROM RTS_Settings__c WHERE SetupOwnerId = '{self._org.org_id}'"
        for row in self._org.first_column(settings):
            values = {"Id": row, "Disable_RTS__c": True}
            self._org.update(who, "RTS_Settings__c", [values])[0].unwrap()


def _line(code: str, match: re.Match[str]) -> int:
    return code.count("\n", 0, match.start()) + 1
