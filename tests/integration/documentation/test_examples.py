"""The SQL and the Python of the pages about the mirror run, on a mirror with a change and a deletion."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.inprocess.rig import Rig, Start
from tests.support.mirror import ENGINE, sqlite_only

DOCS = Path(__file__).parents[3] / "docs"
PAGES = ("mirror.md", "recipes.md")
PATH = "/var/lib/rtsd/mirror.db"
"""Where the pages have the mirror."""


def blocks(language: str) -> list[tuple[str, str]]:
    """The fenced code of a language, with the page."""
    fence = re.compile(rf"(?ms)^```{language}\n(.*?)^```")
    return [(page, code) for page in PAGES for code in fence.findall((DOCS / page).read_text())]


def statements() -> list[tuple[str, str]]:
    """The SQL for this engine. On PostgreSQL tables have a schema, which tests find by the search path."""
    is_postgres = ENGINE == "postgres"
    return [(page, sql) for page, sql in blocks("sql") if ("rts." in sql) == is_postgres]


@pytest.fixture
async def used(start: Start) -> Rig:
    """A mirror of some contacts, of which one was changed and one deleted."""
    rig = await start({"Contact": 5})
    await rig.load()
    await rig.install_package()
    record = await rig.a_record("Contact")
    rig.advance(30)
    await rig.dml("update", "Contact", rows=[{"Id": record, "Email": "ada@acme.com"}])
    rig.advance(30)
    await rig.dml("delete", "Contact", ids=[record])
    await rig.settle()
    return rig


async def test_the_sql_finds_what_happened(used: Rig) -> None:
    """Every statement runs, and those about changes and deletions find the record."""
    found = {sql: used.mirror.sql(sql.replace("rts._rts", "_rts")) for _, sql in statements()}
    assert found
    assert all(rows for sql, rows in found.items() if "MAX(seq)" in sql)
    told = [rows for sql, rows in found.items() if "_rts_tombstone" in sql]
    assert all(told)
    assert told or ENGINE == "postgres"


@sqlite_only("the pages open a file")
@pytest.mark.parametrize("code", [code for _, code in blocks("python")])
async def test_the_python_reads_the_mirror(used: Rig, code: str) -> None:
    """As a program of its own, with the path of this mirror in place of the page's."""
    needed = {
        name for name in re.findall(r"(?m)^import (\w+)$", code) if importlib.util.find_spec(name) is None
    }
    if needed:
        pytest.skip(f"not installed here: {', '.join(needed)}")
    assert PATH in code
    code = code.replace(PATH, str(used.place / "mirror.db"))
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout
