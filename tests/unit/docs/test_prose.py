"""Plain English in the documents and in the code: no archaic words, and *trigger* is an Apex trigger only."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDERS = {"docs": "*.md", "config": "*.*", "examples": "*/*.*"}
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(path for name, kind in FOLDERS.items() for path in (ROOT / name).glob(kind)),
]
MODULES = [path for package in ("rtsd", "rtssim", "rtstui") for path in (ROOT / package).rglob("*.py")]

ARCHAIC = re.compile(
    r"\b(?:"
    r"anew|afresh|seldom|whence|whither|thence|henceforth|hitherto|heretofore|shall|amid|amidst|lest|for ever"
    r"|thereof|therein|wherein|whereof|hereby|unto|whilst|albeit|nought|naught|in vain|mend(?:s|ed|ing)?"
    r"|(?:is|are|be|was|were|being) told|(?:take|takes|taking|taken|took) up|looked at|looks after"
    r"|it is (?:looked|asked)|wants it no more"
    r")\b",
    re.IGNORECASE,
)
"""Words and turns that a reader stops at. Write again, rarely, from where, must, during, report, reload …"""

TRIGGER = re.compile(r"(?<!\bApex )\btrigger(?:s|ed|ing)?\b", re.IGNORECASE)
"""What a change fires is a rule: elsewhere than in the places below, say "Apex trigger"."""

QUOTED = {
    "docs/contract.md": "fixed wording, older than this list; its trigger is the Apex trigger of section 6",
    "docs/acceptance.md": "the words of those who complained",
}
"""Documents that are not checked, and why."""

ABOUT_APEX = {
    "docs/salesforce.md": "the page about the Apex package",
    "docs/glossary.md": "says which word is ours, and which is other products'",
    "CONTRIBUTING.md": "states this rule",
    "rtsd/apex/": "the Apex package",
    "rtsd/cli/package.py": "the Apex package",
    "rtsd/cli/package_lines.py": "the Apex package",
    "rtsd/control/openapi/commands.py": "PackageTrigger, on the wire",
    "rtsd/control/package.py": "the Apex package",
    "rtsd/control/protocol": "PackageTrigger, on the wire",
    "rtsd/core/payload.py": "the heartbeat's key (contract section 3)",
    "rtsd/salesforce/objects.py": "`triggerable`, a key of Salesforce's describe",
    "rtsd/salesforce/package.py": "the Apex package",
    "rtsd/store/postgres/views.py": "PostgreSQL's triggers, which a view of ours may have got",
    "rtsd/stream/endings.py": "codes of the Pub/Sub API",
    "rtsd/sync/continuity.py": "the heartbeat's key (contract section 3)",
    "rtsd/sync/package.py": "the Apex package",
    "rtsd/sync/realtime.py": "the heartbeat's key (contract section 3)",
    "rtsd/sync/missed_pushes.py": "objects without an Apex trigger",
    "rtsd/workflows/installation/": "the Apex package",
    "rtssim/": "the simulated org runs the Apex package and its triggers",
    "rtstui/documents.py": "the Apex package",
    "rtstui/widgets/channel.py": "the Apex package",
}
"""Where a trigger is an Apex trigger without saying so, and why; how a path begins is enough."""


def name_of(path: Path) -> str:
    """The path as messages and the lists above have it."""
    return path.relative_to(ROOT).as_posix()


def is_about_apex(name: str) -> bool:
    """Whether the file or its folder is in the list."""
    return name.startswith(tuple(ABOUT_APEX))


def prose(document: str) -> Iterator[tuple[int, str]]:
    """The lines of a document, without code."""
    without_blocks = re.sub(r"(?ms)^```.*?^```", lambda found: "\n" * found[0].count("\n"), document)
    for number, line in enumerate(without_blocks.splitlines(), start=1):
        yield number, re.sub(r"`[^`]*`", "`…`", line)


def words(source: str) -> Iterator[tuple[int, str]]:
    """The names, comments and texts of a module; underscores separate words."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind in {"NAME", "COMMENT", "STRING", "FSTRING_MIDDLE"}:
            text = token.string.replace("_", " ")
            for offset, line in enumerate(text.splitlines()):
                yield token.start[0] + offset, line


def found_in(name: str, lines: Iterator[tuple[int, str]]) -> list[str]:
    """Every place with a word of the lists, as `file:line: word`."""
    lists = [ARCHAIC] if is_about_apex(name) else [ARCHAIC, TRIGGER]
    return [
        f"{name}:{number}: {match[0]}"
        for number, line in lines
        for words_of in lists
        for match in words_of.finditer(line)
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_documents_are_plain_english(document: Path) -> None:
    """A page that a newcomer reads once and understands has none of these words."""
    if name_of(document) not in QUOTED:
        assert found_in(name_of(document), prose(document.read_text())) == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_code_is_plain_english(module: Path) -> None:
    """Docstrings, comments, messages and names keep to the same words."""
    assert found_in(name_of(module), words(module.read_text())) == []


def test_the_lists_find_what_they_are_for() -> None:
    """Both lists catch their words in prose and in code, and leave an Apex trigger alone."""
    text = "Rows are read anew.\nIt is told whence.\n`anew`\n"
    assert found_in("docs/x.md", prose(text)) == [
        "docs/x.md:1: anew",
        "docs/x.md:2: is told",
        "docs/x.md:2: whence",
    ]
    code = "changed_triggers = 1  # seldom\n"
    assert found_in("rtsd/x.py", words(code)) == ["rtsd/x.py:1: triggers", "rtsd/x.py:1: seldom"]
    assert found_in("rtsd/x.py", words('"""One Apex trigger per object."""\n')) == []
    assert found_in("rtsd/apex/x.py", words("triggers = 1\n")) == []


def test_the_exceptions_are_there() -> None:
    """A file that is moved or removed takes its exception along."""
    assert [place for place in (*QUOTED, *ABOUT_APEX) if not list(ROOT.glob(f"{place}*"))] == []
