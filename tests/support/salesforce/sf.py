"""A stand-in for Salesforce CLI: an executable `sf` that prints what the documented commands print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_REDACTED = "[REDACTED] Use 'sf org auth show-access-token' to view"
_PROGRAM = """#!{python}
import json, pathlib, sys, time
home = pathlib.Path({home!r})
words = sys.argv[1:]
with (home / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
known = json.loads((home / "orgs.json").read_text())
if known["hangs"]:
    time.sleep(600)
if known["prints"]:
    print(known["prints"])
    raise SystemExit(1)
if "--json" not in words:
    raise SystemExit("the stand-in speaks JSON only")

def end(status, **answer):
    print(json.dumps({{"status": status, **answer, "warnings": []}}, indent=2))
    raise SystemExit(status)

def listed(org):
    return {{name: value for name, value in org.items() if name != "token"}}

if words[:3] == ["org", "list", "auth"]:
    end(0, result=[{{**listed(org), "accessToken": {redacted!r}}} for org in known["orgs"]])
target = words[words.index("--target-org") + 1]
org = next((org for org in known["orgs"] if target in (org["alias"], org["username"])), None)
if org is None:
    message = f"Parsing --target-org \\n\\tNo authorization information found for {{target}}.\\n"
    end(2, name="NamedOrgNotFoundError", code="NamedOrgNotFoundError", message=message, exitCode=2)
if words[:2] == ["org", "display"]:
    token = org["token"] if known["shows_secrets"] else {redacted!r}
    end(0, result={{**listed(org), "id": org["orgId"], "accessToken": token, "connectedStatus": "Connected"}})
if words[:3] == ["org", "auth", "show-access-token"] and not known["shows_secrets"]:
    end(0, result={{"accessToken": org["token"]}})
print(" \u203a   Error: command " + ":".join(words[:3]) + " not found", file=sys.stderr)
raise SystemExit(127)
"""


class Sf:
    """The stand-in, in a directory for PATH.

    `shows_secrets` is as before CLI 2.136.8: `org display` has the token, and no command shows it.
    """

    def __init__(self, home: Path, *, shows_secrets: bool = False) -> None:
        self.home = home
        self.bin = home / "bin"
        self.bin.mkdir(parents=True)
        self._known: dict[str, Any] = {
            "orgs": [],
            "shows_secrets": shows_secrets,
            "hangs": False,
            "prints": "",
        }
        program = self.bin / "sf"
        program.write_text(_PROGRAM.format(python=sys.executable, home=str(home), redacted=_REDACTED))
        program.chmod(0o755)
        self._save()

    def logged_in(self, alias: str, username: str, url: str, *, org_id: str, token: str) -> None:
        """Have an org logged in, or its access token replaced."""
        org = {"alias": alias, "username": username, "instanceUrl": f"{url}/", "orgId": org_id}
        self._known["orgs"] = [known for known in self._known["orgs"] if known["alias"] != alias]
        self._known["orgs"].append({**org, "token": token})
        self._save()

    def hangs(self) -> None:
        """Have no command ever end."""
        self._known["hangs"] = True
        self._save()

    def prints(self, text: str) -> None:
        """Have every command fail with a text of its own."""
        self._known["prints"] = text
        self._save()

    @property
    def calls(self) -> list[str]:
        """The commands so far."""
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def _save(self) -> None:
        (self.home / "orgs.json").write_text(json.dumps(self._known))
