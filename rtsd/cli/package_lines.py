"""The report of `rtsd package status`, as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rtsd import logs
from rtsd.cli.output import coloured, table

if TYPE_CHECKING:
    from rtsd.core.relay import Relay
    from rtsd.workflows.installation.reports import InstallationReport


def _relay(relay: Relay) -> str:
    words = [relay.status or "status not known", f"runs as {relay.user or 'Automated Process'}"]
    words += [f"last event {relay.position}"] if relay.position else []
    return ", ".join(words)


def report_lines(found: InstallationReport) -> Iterator[str]:
    """Yield the lines for people."""
    version = f"{found.version} " if found.version else ""
    wanted = f"(this rtsd has {found.expected_version})"
    yield f"package   {coloured(found.state)} {logs.clean(version)}{wanted}"
    if found.disabled is not None:
        yield f"pushes    {'disabled (Disable RTS)' if found.disabled else 'enabled'}"
    if found.disabled_for:
        owners = logs.clean(", ".join(found.disabled_for))
        yield f"not for   {owners}: their rows of RTS Settings disable pushes"
    if found.left_out:
        yield f"left out  {', '.join(found.left_out)}: Interval Sync reads them, until deploy --with OBJECT"
    if found.relay is not None:
        yield logs.clean(f"relay     {_relay(found.relay)}")
    if found.unknown:
        yield f"not seen  {', '.join(found.unknown)}: the sync user may not query them"
    if found.state == "missing":
        yield "Nothing of it is in the org; rtsd package deploy installs it."
    elif found.differences:
        yield ""
        yield table(
            ("PART", "DIFFERENCE"), [(difference.part, difference.what) for difference in found.differences]
        )
        yield ""
        yield "rtsd package deploy puts that right."
    else:
        yield f"triggers  {', '.join(found.triggers)}"
        yield "Everything is as it should be."
