"""docs/salesforce.md shows what `rtsd package` prints and costs, for contacts with a sync condition."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.support.installation import Office

PAGE = (Path(__file__).parents[4] / "docs/salesforce.md").read_text()
CONTACT = '[[objects]]\nname = "Contact"\nconditions = ["Email"]\n'


async def rtsd(office: Office, *words: str) -> tuple[str, str]:
    """Run `rtsd package …`; return stdout and stderr."""
    command = (sys.executable, "-m", "rtsd", "package", *words, "-c", str(office.place / "rtsd.toml"))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    return out.decode(), err.decode()


def documented(row: str) -> int:
    """The calls in the table's row of a command; for `deploy`, of one with nothing to do."""
    (found,) = re.findall(rf"\| `{row}` \|\D*(\d+)", PAGE)
    return int(found)


def calls(out: str) -> int:
    """The calls that a command says it made."""
    (found,) = re.findall(r'(?:"calls":|\()(\d+)(?: API calls)?', out)
    return int(found)


async def test_the_page_has_the_true_lines_and_prices(office: Office) -> None:
    """Each line of the example, but for names; and the table's calls, within a tenth."""
    office.configuration(CONTACT)
    out, err = await rtsd(office, "deploy")
    address = "the package pushes to"
    lines = [line.partition(address)[0] for line in (err + out).splitlines() if not line.startswith("  ")]
    for line in lines:
        shown = re.sub(r"sync@[\w.]+", "sync@acme.com", line)
        assert shown in PAGE, shown
    assert f"nothing to do, else {calls(out)} and one for every few seconds" in PAGE
    for command in ("status", "deploy", "remove"):
        options = ["--json", "--yes"] if command == "remove" else ["--json"]
        spent = calls((await rtsd(office, command, *options))[0])
        assert abs(spent - documented(f"rtsd package {command}")) <= spent / 10, (command, spent)
