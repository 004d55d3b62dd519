"""What the checks find."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtsd.control import wire
from rtsd.control.protocol import Priced
from rtsd.core.cost import Cost
from rtsd.core.problem import Problem
from rtsd.errors import RtsError
from rtsd.salesforce.responses import Limit, Organization
from rtsd.sync.estimate import IdleDay, ObjectSize
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.workflows.capture import CaptureReport


@dataclass(frozen=True, slots=True)
class CheckedObject:
    """An object that can be mirrored; its size covers the rows visible to the sync user."""

    mirrored: MirroredObject
    size: ObjectSize

    @property
    def name(self) -> str:
        """The object's name, as the org spells it."""
        return self.mirrored.described.name

    @property
    def fields(self) -> int:
        """The number of mirrored fields."""
        return len(self.mirrored.described.columns)


@dataclass(slots=True)
class Report:
    """The result of the checks. Values that could not be read stay None."""

    org: Organization | None = None
    user: str | None = None
    sees_all: bool | None = None
    package: str | None = None
    visible: list[str] = field(default_factory=list)
    """The names of all objects that the sync user can see."""
    objects: list[CheckedObject] = field(default_factory=list)
    limits: dict[str, Limit] = field(default_factory=dict)
    cost: Cost | None = None
    idle: IdleDay | None = None
    """The cost of a day without changes."""
    has_channel: bool = True
    """Whether pushes may come at all."""
    capture: CaptureReport | None = None
    """The selection for Change Data Capture, if that is the channel."""
    privacy: dict[str, str] = field(default_factory=dict)
    """What the next start applies to the mirror by changed privacy, exclude or fields, by object."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    """What works today, and is about to end."""

    @property
    def apex(self) -> bool | None:
        """True if the org's edition runs Apex, which the package needs; None if unknown."""
        return None if self.org is None else self.org.apex

    def priced(self) -> Priced:
        """Return the price of the first audit, and every problem (contract section 5)."""
        maxima = {name: limit.maximum for name, limit in self.limits.items()}
        return Priced(
            estimate=None if self.cost is None else wire.estimate(self.cost, maxima),
            problems=wire.problems(self.problems),
        )

    def document(self) -> dict[str, Any]:
        """Return the report as JSON."""
        org = self.org
        return {
            "org": None
            if org is None
            else {
                "id": org.id,
                "name": org.name,
                "edition": org.edition,
                "sandbox": org.sandbox,
                "apex": self.apex,
                "user": self.user,
                "sees_all": self.sees_all,
            },
            "package": {"state": self.package},
            "objects": [
                {"name": found.name, "fields": found.fields, "rows": found.size.rows}
                for found in self.objects
            ],
            "capture": None if self.capture is None else self.capture.document(),
            "privacy": [{"object": name, "message": message} for name, message in self.privacy.items()],
            "idle_day": None if self.idle is None else self.idle.document(),
            **msgspec.to_builtins(self.priced()),
            "warnings": msgspec.to_builtins(wire.problems(self.warnings)),
        }

    def add(self, error: RtsError, what: str = "") -> None:
        """Add an error as a problem, with `what` as a prefix."""
        self.problems.append(Problem(f"{what}{error.message}", error.do))
