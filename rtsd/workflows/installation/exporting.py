"""Export of the package as files: for deployment and for removal with another tool."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rtsd import apex
from rtsd.apex import removal
from rtsd.apex.jobs import FEW_MINUTES
from rtsd.config import Config
from rtsd.core.channel import PUSH_EVENT, STREAM
from rtsd.errors import ConfigError, UsageError
from rtsd.workflows.installation.plan import require_package

_MARKER = "sfdx-project.json"
_REMOVE = "remove"
"""The folder with what removes the package."""


def export(config: Config, directory: Path, without: tuple[str, ...] = ()) -> int:
    """Write a Salesforce DX project for the configured objects; return the number of files.

    The folder `remove` has manifests and scripts that remove the package again, with any tool. Objects in
    `without` get no trigger.

    Raises ConfigError without a public_url, or for a channel that needs no package; UsageError if the
    directory contains anything else.
    """
    require_package(config)
    is_stream = config.push.channel == STREAM
    url = "" if is_stream else config.gateway.public_url
    if not url and not is_stream:
        raise ConfigError(
            "public_url in [gateway] is empty: the remote site needs it.",
            'Set it to the URL at which Salesforce reaches the gateway, such as "https://rts.acme.com".',
        )
    left_out = {name.lower() for name in without}
    names = [section.name for section in config.objects if section.name.lower() not in left_out]
    files = apex.sfdx_project(
        names,
        url,
        config.org.api_version,
        run_as=config.org.username,
        left_out=without,
        reads_pushes=is_stream,
    )
    files |= _removal(names, config.org.api_version)
    files |= _pages(names, config)
    _make_room(directory)
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return len(files)


def _removal(names: list[str], api_version: str) -> dict[str, bytes]:
    """Return the files that remove the package, by path."""
    stop = [apex.disable_script(), apex.unschedule_script(), apex.abort_script()]
    folders: Mapping[str, Mapping[str, bytes]] = {
        "package": removal.everything(names, api_version),
        "last": removal.last(api_version),
        "generated": removal.generated(names, api_version),
    }
    files = {
        f"{_REMOVE}/{folder}/{name}": content
        for folder, manifests in folders.items()
        for name, content in manifests.items()
    }
    files[f"{_REMOVE}/stop.apex"] = "\n".join([*stop, ""]).encode()
    files[f"{_REMOVE}/unassign.apex"] = (apex.unassign_script() + "\n").encode()
    return files


def _pages(names: list[str], config: Config) -> dict[str, bytes]:
    """Return the pages for the administrator, by file name."""
    url, sealed = config.gateway.public_url, "on" if config.push.sealed else "off"
    is_stream = config.push.channel == STREAM
    values = {
        "made_for": config.push.channel,
        "target": f"are published as the event {PUSH_EVENT}" if is_stream else f"go to {url}",
        "channel": f"Channel: `stream`; Sealed: {sealed}" if is_stream else f"Gateway URL: `{url}`",
        "remote_site": "" if is_stream else "the remote site with the\ngateway's address, ",
        "version": apex.VERSION,
        "objects": ", ".join(names),
        "package": apex.PACKAGE,
        "test": apex.REMOVAL_TEST,
        "tests": " ".join(f"--tests {name}" for name in apex.TEST_CLASSES),
        "schedule": apex.schedule_script(),
        "few": " and ".join(str(minute) for minute in FEW_MINUTES),
        "ping": apex.test_script(),
    }
    return {name: apex.page(name).format(**values).encode() for name in apex.PAGES}


def _make_room(directory: Path) -> None:
    """Delete an earlier export, whose triggers would be deployed again."""
    if not directory.exists():
        return
    if any(directory.iterdir()) and not (directory / _MARKER).is_file():
        raise UsageError(
            f"{directory} contains other files.", "Name an empty directory, or an earlier export."
        )
    for folder in (apex.CORE, apex.GENERATED, _REMOVE):
        shutil.rmtree(directory / folder, ignore_errors=True)
