"""Export of the package as files, for deployment with another tool."""

from __future__ import annotations

import shutil
from pathlib import Path

from rtsd import apex
from rtsd.apex.jobs import FEW_MINUTES
from rtsd.config import Config
from rtsd.errors import ConfigError, UsageError

_MARKER = "sfdx-project.json"

_README = """# RTS, the Salesforce package of rtsd {version}

For {objects}; pushes go to {url}. `rtsd package deploy` performs all of these steps.

1. Deploy: `sf project deploy start --source-dir force-app --source-dir generated`, in production with
   `--test-level RunSpecifiedTests {tests}`.
2. Setup → Permission Sets → RTS Sync → Manage Assignments: add the sync user. RTS Admin opens the app RTS for
   administrators.
3. Setup → Custom Settings → RTS Settings → Manage → New (at the top, for the org). Gateway URL: `{url}`;
   Token: a line of rtsd's token file; Org Id: see Setup → Company Information; Error Logging: on.
4. Developer Console → Debug → Open Execute Anonymous Window: run this to schedule the heartbeat.

```apex
{schedule}
```

   Developer Edition allows five scheduled jobs in total; there, two suffice, at the minutes {few}.
5. In the same window, run `{ping}`: it sends a test push, which tells rtsd that the package is installed.
"""


def export(config: Config, directory: Path, without: tuple[str, ...] = ()) -> int:
    """Write a Salesforce DX project for the configured objects; return the number of files.

    Objects in `without` get no trigger.

    Raises ConfigError without a public_url, UsageError if the directory contains anything else.
    """
    url = config.gateway.public_url
    if not url:
        raise ConfigError(
            "public_url in [gateway] is empty: the remote site needs it.",
            'Set it to the URL at which Salesforce reaches the gateway, such as "https://rts.acme.com".',
        )
    left_out = {name.lower() for name in without}
    names = [section.name for section in config.objects if section.name.lower() not in left_out]
    files = apex.sfdx_project(
        names, url, config.org.api_version, run_as=config.org.username, left_out=without
    )
    files["README.md"] = _readme(names, url).encode()
    _make_room(directory)
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


def _make_room(directory: Path) -> None:
    """Delete an earlier export, whose triggers would be deployed again."""
    if not directory.exists():
        return
    if any(directory.iterdir()) and not (directory / _MARKER).is_file():
        raise UsageError(
            f"{directory} contains other files.", "Name an empty directory, or an earlier export."
        )
    for folder in (apex.CORE, apex.GENERATED):
        shutil.rmtree(directory / folder, ignore_errors=True)
