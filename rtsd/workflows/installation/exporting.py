"""The package as files, for an administrator who deploys with another tool."""

from __future__ import annotations

import shutil
from pathlib import Path

from rtsd import apex
from rtsd.apex.jobs import FEW_MINUTES
from rtsd.config import Config
from rtsd.errors import ConfigError, UsageError

_MARK = "sfdx-project.json"

_README = """# RTS, the Salesforce package of rtsd {version}

For {objects}; pushes go to {url}. `rtsd package deploy` does all of this by itself.

1. Deploy: `sf project deploy start --source-dir force-app`, in production with
   `--test-level RunSpecifiedTests {tests}`.
2. Setup → Permission Sets → RTS Sync → Manage Assignments: the sync user.
3. Setup → Custom Settings → RTS Settings → Manage → New (at the top, for the org): Gateway URL `{url}`,
   Token a line of rtsd's token file, Org Id the org's own (Setup → Company Information), Error Logging on.
4. Developer Console → Debug → Open Execute Anonymous Window; run this, which schedules the heartbeat:

```apex
{schedule}
```

   Developer Edition takes five scheduled jobs in all; there two do, at the minutes {few}.
5. The same window: `{ping}` sends a test push, and rtsd knows that the package is there.
"""


def export(config: Config, directory: Path) -> int:
    """Write a Salesforce DX project for the configuration's objects; return how many files.

    Raises ConfigError without a public_url, UsageError where the directory holds something else.
    """
    url = config.gateway.public_url
    if not url:
        raise ConfigError(
            "public_url in [gateway] is empty: the remote site is made for it.",
            'Set it to the URL at which Salesforce reaches the gateway, such as "https://rts.acme.com".',
        )
    names = [one.name for one in config.objects]
    files = apex.sfdx_project(names, url, config.org.api_version, run_as=config.org.username)
    files["README.md"] = _readme(names, url).encode()
    _clear(directory)
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return len(files)


def _readme(names: list[str], url: str) -> str:
    return _README.format(
        version=apex.VERSION,
        objects=", ".join(names),
        url=url,
        tests=" ".join(f"--tests {name}" for name in apex.TEST_CLASSES),
        schedule=apex.schedule_script(),
        few=" and ".join(str(minute) for minute in FEW_MINUTES),
        ping=apex.test_script(),
    )


def _clear(directory: Path) -> None:
    """Make room: triggers of an earlier export would be deployed again."""
    if not directory.exists():
        return
    if any(directory.iterdir()) and not (directory / _MARK).is_file():
        raise UsageError(
            f"{directory} holds something else.", "Name an empty directory, or an earlier export."
        )
    shutil.rmtree(directory / "force-app", ignore_errors=True)
