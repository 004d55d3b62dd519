"""Rules of the Salesforce package's source that no analyser knows, checked on text alone.

They stand for what a compiler would refuse and apex-ls lets pass (fields in SOQL, events of triggers), and
for what this package promises: no callout in a user's transaction, every access in system mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.support.apex.standard_names import SHADOWS

META = "{http://soap.sforce.com/2006/04/metadata}"
EVENTS = {
    f"{moment} {event}"
    for moment, events in (
        ("before", ("insert", "update", "delete")),
        ("after", ("insert", "update", "delete", "undelete")),
    )
    for event in events
}
EVERYWHERE = {"id", "name", "createddate", "lastmodifieddate", "systemmodstamp", "ownerid", "createdbyid"}
STANDARD = {
    "apextrigger": {"id", "name", "status", "tableenumorid"},
    "asyncapexjob": {"id", "apexclass.name", "jobtype", "status"},
    "permissionsetassignment": {"id", "assigneeid", "permissionset.name"},
    "crontrigger": {"id", "cronjobdetail.name"},
}
KEYWORDS = {
    "select", "count", "from", "where", "and", "or", "not", "in", "like", "null", "true", "false",
    "with", "system_mode", "order", "by", "asc", "desc", "limit",
}  # fmt: skip
IN_A_SAVE = {
    "Handler", "Exit", "Conditions", "Difference", "Config", "Change", "Errors", "Relay", "Persons",
    "Catalog",
}  # fmt: skip
"""Classes that run in the transaction of whoever saves, or in a trigger of a platform event."""
NAMESPACES = {"Database", "EventBus", "Schema"}
"""Names of namespaces that are names of classes, too."""
ANNOTATIONS = {"istest", "testvisible", "suppresswarnings", "future"}
MOST_CHARACTERS = 1_000_000
"""Of one class (Apex guide, Governors)."""

_TRIGGER = re.compile(
    r"trigger (?P<name>\w+) on \w+ \((?P<events>[\w ,]+)\) \{\s*RTS_\w+\.run\([\w., ]*\);\s*\}\s*"
)
_SENDING = re.compile(r"\b(Http\w*|RTS_Channel|RTS_Gateway|RTS_Stream|RTS_Document|RTS_Ping)\b")
_SOQL = re.compile(r"\[\s*(SELECT\b.*?)\]", re.DOTALL)
_COMMENT = re.compile(r"('(?:[^'\\\n]|\\.)*')|/\*.*?\*/|//[^\n]*", re.DOTALL)
_NAME = re.compile(r"(?<![\w.@])([A-Z]\w*)\b(?!\s*=[^=>])(?!\s*=$)")
"""A name that starts with a capital and follows no dot; not that of a field in `new Account(Name = 'a')`."""
_LOOP = re.compile(r"\b(?:for|while)\s*\(")
_COSTLY = re.compile(r"System\.Database\.\w+|System\.EventBus\.publish|\[\s*SELECT\b")
_MEMBER_TYPE = re.compile(r"\.[A-Z]")
_TEXT = re.compile(r"'(?:[^'\\\n]|\\.)*'")
_CLASS = re.compile(r"\b(?:public|private|global)\b[\w ]*\bclass (\w+)( extends Exception)?")


class Finding(NamedTuple):
    """Something wrong at a line (from 1) of a file."""

    path: str
    line: int
    message: str


def findings(tree: Mapping[str, bytes]) -> list[Finding]:
    """Check a Salesforce DX project, given as files by path."""
    fields = object_fields(tree)
    found: list[Finding] = []
    for path, content in tree.items():
        kind = PurePath(path).suffix
        if kind not in (".cls", ".trigger"):
            continue
        text = _COMMENT.sub(lambda match: match[1] or re.sub(r"[^\n]", " ", match[0]), content.decode())
        checks = _of_trigger(path, text) if kind == ".trigger" else _of_class(path, text)
        for offset, message in (*checks, *_of_soql(text, fields)):
            found.append(Finding(path, text.count("\n", 0, offset) + 1, message))
    return found


def object_fields(tree: Mapping[str, bytes]) -> dict[str, set[str]]:
    """The fields of the objects that Apex may name, in lower case."""
    fields = {name: set(names) for name, names in STANDARD.items()}
    for path in tree:
        if path.endswith(".field-meta.xml"):
            name = PurePath(path).parts[-3].lower()
            field = ET.fromstring(tree[path]).findtext(f"{META}fullName", "")
            fields.setdefault(name, set(EVERYWHERE)).add(field.lower())
    return fields


def _of_trigger(path: str, text: str) -> Iterator[tuple[int, str]]:
    """One line and no logic: nothing static, no callout, no query, and events that exist."""
    match = _TRIGGER.fullmatch(text)
    if match is None:
        yield 0, "a trigger is one call of a handler"
        return
    if match["name"] != PurePath(path).stem:
        yield 0, f"a trigger called {match['name']} in a file of another name"
    for event in match["events"].split(", "):
        if event not in EVENTS:
            yield 0, f"no such event: {event}"


def _of_class(path: str, text: str) -> Iterator[tuple[int, str]]:
    stem = PurePath(path).stem.removeprefix("RTS_")
    if len(text) > MOST_CHARACTERS:
        yield 0, "too large"
    for match in _CLASS.finditer(text):
        if " sharing class" not in match[0] and not match[2]:
            yield match.start(), f"class {match[1]} does not say which sharing it wants"
    for match in re.finditer(r"@(\w+)(?![^'\n]*'[^'\n]*$)", text, re.MULTILINE):
        if match[1].lower() not in ANNOTATIONS:
            yield match.start(), f"no such annotation: {match[1]}"
    if not text.lstrip().startswith("@IsTest"):
        yield from _of_access(text)
        yield from _of_loops(text)
    yield from _of_place(stem, text)
    yield from _of_names(text)


def _of_place(stem: str, text: str) -> Iterator[tuple[int, str]]:
    """What a class may not name for where it runs."""
    if stem in IN_A_SAVE:
        for match in _SENDING.finditer(text):
            yield match.start(), f"{match[1]} where a callout is impossible"
    if stem == "Schedule":
        for match in re.finditer(r"(?<!')\bRTS_(?!Schedule)\w+", text):
            yield match.start(), "names a class, which could not be replaced while a job is scheduled"


def _of_access(text: str) -> Iterator[tuple[int, str]]:
    """Which mode data is read and written in is said each time."""
    for match in re.finditer(r"\bDatabase\.(insert|update|upsert|delete|query\w*)\([^;]*;", text):
        if "AccessLevel.SYSTEM_MODE" not in match[0]:
            yield match.start(), f"Database.{match[1]} without its access level"
    for match in re.finditer(r"^\s*(insert|update|upsert|delete|undelete|merge)\s+\w", text, re.MULTILINE):
        yield match.start(1), f"{match[1]} without its access level"


def _of_loops(text: str) -> Iterator[tuple[int, str]]:
    """Queries and DML inside of loops, each of which counts against a limit. PMD misses `System.Database`."""
    plain = _TEXT.sub(_blank, text)
    for loop in _LOOP.finditer(plain):
        start = _closing(plain, loop.end() - 1, "()") + 1
        end = plain.find(";", start)
        if plain[start:].lstrip().startswith("{"):
            end = _closing(plain, plain.index("{", start), "{}")
        for match in _COSTLY.finditer(plain, start, end):
            yield match.start(), f"{match[0].strip()} in a loop"


def _closing(text: str, start: int, pair: str) -> int:
    """Return the position of the bracket that closes the one at `start`."""
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == pair[0]) - (text[position] == pair[1])
        if depth == 0:
            return position
    return len(text)


def _of_names(text: str) -> Iterator[tuple[int, str]]:
    """Standard types without their namespace, which a class of the org's own would hide.

    `Database.SaveResult` and the like are types of the namespace Database, of which a class called Database
    hides none (Apex Developer Guide, Type Resolution); its methods are those of System.Database.
    """
    plain = _SOQL.sub(_blank, _TEXT.sub(_blank, text))
    standard = {name.lower(): name for name in SHADOWS}
    for match in _NAME.finditer(plain):
        name = standard.get(match[1].lower())
        if name is None or (name in NAMESPACES and _MEMBER_TYPE.match(plain, match.end())):
            continue
        yield match.start(), f"{match[1]} without its namespace"


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _of_soql(text: str, fields: Mapping[str, set[str]]) -> Iterator[tuple[int, str]]:
    for match in _SOQL.finditer(text):
        soql = re.sub(r":\s*[\w.]+(\(\))?|'[^']*'|\b\d+\b", " ", match[1])
        target = re.search(r"\bFROM\s+(\w+)", soql, re.IGNORECASE)
        if target is None or target[1].lower() not in fields:
            yield match.start(), f"a query of an unknown object: {target and target[1]}"
            continue
        if "WITH SYSTEM_MODE" not in soql:
            yield match.start(), "a query without its mode"
        known = fields[target[1].lower()] | KEYWORDS | {target[1].lower()}
        for name in re.findall(r"[A-Za-z_][\w.]*", soql):
            if name.lower() not in known:
                yield match.start(1) + match[1].index(name), f"{target[1]} has no field {name}"
