"""Injected faults: each hits matching operations with a probability or a number of times."""

from __future__ import annotations

import random
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from rtssim.interface import OrgError
from rtssim.limits import CONCURRENT_EXCEEDED, TOTAL_EXCEEDED

# Refusals of a REST or Bulk call, instead of its answer.
REFUSALS: dict[str, OrgError] = {
    "405": OrgError(405, "METHOD_NOT_ALLOWED", "HTTP Method 'PATCH' not allowed. Allowed are GET,POST"),
    "no_access": OrgError(
        403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on cross-reference id"
    ),
    "429": OrgError(429, "TOO_MANY_REQUESTS", "Too many requests"),
    "500": OrgError(
        500, "UNKNOWN_EXCEPTION", "An unexpected error occurred. Please include this ErrorId: 1 (2)"
    ),
    "503": OrgError(503, "SERVER_UNAVAILABLE", "Server too busy"),
    "query_timeout": OrgError(400, "QUERY_TIMEOUT", "Your query request was running for too long."),
    "quota": OrgError(403, "REQUEST_LIMIT_EXCEEDED", TOTAL_EXCEEDED),
    "concurrent": OrgError(403, "REQUEST_LIMIT_EXCEEDED", CONCURRENT_EXCEEDED),
    "bulk_quota": OrgError(
        400, "LIMIT_EXCEEDED", "Max bulk v2 query jobs (10000) per 24 hrs has been reached"
    ),
    "api_disabled": OrgError(
        403, "API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner"
    ),
    "api_currently_disabled": OrgError(503, "API_CURRENTLY_DISABLED", "API is currently disabled"),
    "not_rest": OrgError(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API"),
}
HTML_PAGES = {
    "html_502": (502, "Bad Gateway"),
    "html_503": (503, "Service Unavailable"),
    "html_420": (420, "Edge: no route for this host"),
    "html_maintenance": (200, "Down For Maintenance"),
}
OTHER_CALLS = ("406", "odd", "reset", "expire_session", "slow_answer", "token_error", "token_html")
# Faults of a running answer: `cut` drops the connection in mid-body, `stall` stops sending.
DOWNLOADS = ("cut", "stall", "slow", "wrong_count", "no_locator")
JOBS = ("job_failed", "job_failed_silent", "job_stuck")
DEPLOYMENTS = ("deploy_failed", "test_failed")
COMMITS = ("late_commit",)
PUSHES = ("push_lost", "push_late", "push_doubled", "push_reordered", "publish_refused", "push_refused")
RPCS = ("rpc_error", "rpc_broken", "rpc_silent")  # of the Pub/Sub API
EVENTS = ("event_lost", "event_doubled", "event_gap", "event_late")
KINDS = (
    *REFUSALS,
    *HTML_PAGES,
    *OTHER_CALLS,
    *DOWNLOADS,
    *JOBS,
    *DEPLOYMENTS,
    *COMMITS,
    *PUSHES,
    *RPCS,
    *EVENTS,
)
PARAMETERS = {
    "code": "rpc_error: the code in the trailers, without the common prefix (default service.unavailable)",
    "seconds": "push_late, stall, slow_answer, rpc_silent: duration (default 2); late_commit: longest delay;"
    " event_late: duration on the org's clock (default 60)",
    "after_bytes": "cut, stall: bytes sent before the fault (default: half the body)",
    "rate": "slow: bytes per second (default 1)",
    "body": "odd: the text answered with status 200 (default: none)",
    "message": "job_failed, deploy_failed, test_failed, publish_refused, push_refused: error message",
}


@dataclass
class Fault:
    """A fault that hits operations whose path matches `path`, with `probability`, at most `count` times.

    `test_failed` has no path: it compares the names of the tests that run.
    """

    id: int
    kind: str
    probability: float = 1.0
    count: int | None = None
    path: str = ""
    seed: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")
        if unknown := set(self.parameters) - set(PARAMETERS):
            raise ValueError(f"unknown keys {sorted(unknown)}; known: {', '.join(PARAMETERS)}")
        self._random = random.Random(self.seed)
        self._path = re.compile(self.path)

    def hits_now(self, path: str) -> bool:
        """Decide if the fault hits this operation; count a hit."""
        if self.count is not None and self.hits >= self.count:
            return False
        if not self._path.search(path) or self._random.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def random_up_to(self, name: str, default: float) -> float:
        """Return a random number between 0 and a parameter."""
        return self._random.uniform(0.0, self.number(name, default))

    def number(self, name: str, default: float) -> float:
        """Return a numeric parameter."""
        return float(self.parameters.get(name, default))


class Faults:
    """Active faults, checked in order of creation."""

    def __init__(self) -> None:
        self._active: dict[int, Fault] = {}
        self._last = 0

    def add(self, kind: str, **options: Any) -> Fault:
        """Activate a fault; raises ValueError for an unknown kind or option."""
        known = {
            name: options.pop(name) for name in ("probability", "count", "path", "seed") if name in options
        }
        self._last += 1
        fault = Fault(self._last, kind, parameters=options, **known)
        self._active[fault.id] = fault
        return fault

    def remove(self, fault_id: int | None = None, *, kind: str | None = None) -> int:
        """Deactivate a fault by id, faults by kind, or all; return how many."""
        removed = [
            fault.id
            for fault in self._active.values()
            if (fault_id is None or fault.id == fault_id) and (kind is None or fault.kind == kind)
        ]
        for number in removed:
            del self._active[number]
        return len(removed)

    def hit(self, kinds: tuple[str, ...], path: str = "") -> Fault | None:
        """Return the first fault of these kinds that hits now."""
        for fault in self._active.values():
            if fault.kind in kinds and fault.hits_now(path):
                return fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Return the active faults with their hits."""
        return [asdict(fault) for fault in self._active.values()]
