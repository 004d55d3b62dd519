"""Test coverage of a deployment: which of its classes and triggers the tests that run would reach.

Every class and trigger in a deployment needs 75 % with RunSpecifiedTests, every trigger some with the other
levels (Metadata API guide, testLevel). No Apex runs here: a class is reached if a test names it, itself or by
another class; a trigger if a test names it or its object, and a save of the object gets as far as one of its
events.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtssim.metadata.deployer import FILES
from rtssim.metadata.sources import trigger_events, trigger_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rtssim.metadata.archive import Archive
    from rtssim.org import Org

_TEST = re.compile(r"@IsTest\b", re.IGNORECASE)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_WORD = re.compile(r"\w+")
NEVER_INSERTED = frozenset({"User"})
"""Objects of which tests change a row instead of creating one: users need a licence."""


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A class or trigger without coverage."""

    type: str
    name: str

    @property
    def message(self) -> str:
        """Return the message of the code coverage warning."""
        kind = "Class" if self.type == "ApexClass" else "Trigger"
        return f"Test coverage of selected Apex {kind} is 0%, at least 75% test coverage is required"


def uncovered(archive: Archive, tests: Sequence[str] | None, org: Org) -> list[Uncovered]:
    """Return what the named tests don't reach, or all tests of the archive and the org if `tests` is None."""
    classes, triggers = _sources(archive, "ApexClass"), _sources(archive, "ApexTrigger")
    bodies = dict(_installed(org)) | classes
    runs = [body for name, body in bodies.items() if _is_test(body) and (tests is None or name in tests)]
    words = _reached(bodies, runs)
    fired = {
        name: body
        for name, body in triggers.items()
        if words & {name, trigger_object(body.encode())} and _fires(body, org)
    }
    words |= _reached(bodies, list(fired.values()))
    missed = [Uncovered("ApexClass", name) for name in classes if name not in words]
    missed = [each for each in missed if not _is_test(classes[each.name])]
    return missed + [Uncovered("ApexTrigger", name) for name in triggers if name not in fired]


def tests_after(archive: Archive, org: Org, *, keep_removed: bool) -> list[str]:
    """Return the test classes of the org once a deployment has made its changes, sorted by name.

    `keep_removed`: those that it deletes count, too, as if they ran before.
    """
    bodies = dict(_installed(org)) | _sources(archive, "ApexClass")
    gone = set() if keep_removed else {each.name for each in archive.removed if each.type == "ApexClass"}
    return sorted(name for name, body in bodies.items() if name not in gone and _is_test(body))


def _fires(body: str, org: Org) -> bool:
    """Whether a save by a test reaches one of the events of a trigger."""
    source = body.encode()
    name = trigger_object(source) or ""
    obj = org.schema.find(name)
    if obj is not None and not obj.createable:
        return False
    operation = "update" if name in NEVER_INSERTED else "insert"
    return any(
        org.rules.reaches(name, event) for event in trigger_events(source) if event.endswith(f" {operation}")
    )


def _reached(bodies: Mapping[str, str], sources: Sequence[str]) -> set[str]:
    """Return every word of some sources, and of the classes that these name."""
    words: set[str] = set()
    waiting = list(sources)
    while waiting:
        found = set(_WORD.findall(_COMMENT.sub(" ", waiting.pop()))) - words
        words |= found
        waiting += [bodies[word] for word in found if word in bodies]
    return words


def _sources(archive: Archive, kind: str) -> dict[str, str]:
    folder, ending = FILES[kind]
    return {
        member.name: archive.files[f"{folder}/{member.name}.{ending}"].decode(errors="replace")
        for member in archive.added
        if member.type == kind
    }


def _installed(org: Org) -> Iterator[tuple[str, str]]:
    for name, body in org.query(org.sync_user, "SELECT Name, Body FROM ApexClass").rows():
        yield name, body or ""


def _is_test(body: str) -> bool:
    return _TEST.search(body) is not None
