"""`rtsd service`: rtsd under systemd, without copying files by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import click
import msgspec

import rtsd
from rtsd.cli import options
from rtsd.cli.ask import ask
from rtsd.cli.groups import Group
from rtsd.core.plural import plural
from rtsd.errors import NotFound, RtsError, StorageUnwritable, UsageError

UNITS = ("rtsd.service", "rtsd@.service", "rtsd.socket")
UNIT_DIRECTORY = Path("etc/systemd/system")
CONFIG_DIRECTORY = Path("etc/rtsd")
_SHIPPED_PATH = "/opt/rtsd/bin/rtsd"
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108
"""Directories that ProtectHome= and PrivateTmp= hide from the service."""
_SHOWN = ("LoadState", "ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "UnitFileState")

root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    metavar="DIR",
    help="Another root than /, for packaging.",
)


@click.group(cls=Group, epilog=options.examples("rtsd service status", "sudo rtsd service install"))
def service() -> None:
    """Run rtsd under systemd: install, uninstall, status, reload.

    The service has a user of its own, its state in /var/lib/rtsd, and access to little else.
    """


@service.command(
    epilog=options.examples(
        "sudo rtsd service install",
        "sudo rtsd service install --socket",
        "rtsd service install --root ./image",
    )
)
@root_option
@click.option(
    "--socket",
    "with_socket",
    is_flag=True,
    help="Then let systemd hold the gateway's address: stop rtsd, enable rtsd.socket, start rtsd.",
)
def install(*, root: Path, with_socket: bool) -> None:
    """Install the systemd units, and an example configuration if there is none.

    Starts nothing, except with --socket. The units run the rtsd that this command belongs to.
    """
    _require_own_login(root / CONFIG_DIRECTORY / "rtsd.toml")
    if with_socket and not (root / CONFIG_DIRECTORY / "rtsd.toml").exists():
        raise UsageError(
            f"There is no {root / CONFIG_DIRECTORY / 'rtsd.toml'} yet, so rtsd cannot start.",
            "Run `rtsd service install`, edit that file, then run this again.",
        )
    program = _program()
    shipped = _shipped()
    for name in UNITS:
        text = (shipped / name).read_text().replace(_SHIPPED_PATH, str(program))
        _write(root / UNIT_DIRECTORY / name, text, 0o644)
    is_configured = (root / CONFIG_DIRECTORY / "rtsd.toml").exists()
    _write_if_missing(root / CONFIG_DIRECTORY / "rtsd.toml", (shipped / "rtsd.toml").read_text(), 0o644)
    _directory(root / CONFIG_DIRECTORY / "credentials", 0o700)
    if root == Path("/"):
        _systemctl("daemon-reload")
    if with_socket:
        if root == Path("/"):
            _hand_over()
        return
    steps = [
        "sudo systemctl enable --now rtsd          # or rtsd service install --socket",
        "rtsd service status",
    ]
    if not is_configured:
        by_hand = "edit /etc/rtsd/rtsd.toml, and put secrets (0600) into /etc/rtsd/credentials"
        steps = [f"sudo rtsd init                            # or {by_hand}", *steps]
    click.echo("\n".join(("Next:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1)))))


@service.command(epilog=options.examples("sudo rtsd service uninstall"))
@root_option
def uninstall(*, root: Path) -> None:
    """Stop the service and its instances, and remove the units. Configuration, secrets and mirrors stay."""
    if root == Path("/"):
        _systemctl("disable", "--now", "rtsd.socket", "rtsd.service", tolerate=True)
        for instance in _instances():
            _systemctl("disable", "--now", instance, tolerate=True)
            click.echo(f"stopped {instance}")
    removed = []
    for name in UNITS:
        path = root / UNIT_DIRECTORY / name
        if path.exists():
            try:
                path.unlink()
            except OSError as error:
                raise _refused(path, error) from error
            removed.append(name)
    if root == Path("/"):
        _systemctl("daemon-reload")
    click.echo(f"Removed {', '.join(removed) or 'nothing'}.")
    left = _left(root)
    if left:
        click.echo(
            "These stay, with secrets, personal data and what you wrote; remove them if nobody needs them:"
        )
        click.echo("\n".join(f"  {path}" for path in left))


@service.command(epilog=options.examples("rtsd service status", "rtsd service status acme"))
@click.argument("org", required=False, default="")
@options.as_json
def status(*, org: str, as_json: bool) -> int:
    """Show the state of the service in systemd; exit status 1 when it is not active.

    ORG names an instance of rtsd@.service.
    """
    unit = f"rtsd@{org}.service" if org else "rtsd.service"
    shown = _systemctl("show", unit, f"--property={','.join(_SHOWN)}")
    facts = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if facts.get("LoadState") == "not-found":
        raise NotFound(f"{unit} is not installed.", "`sudo rtsd service install` installs it.")
    if as_json:
        click.echo(msgspec.json.encode({"unit": unit, **facts}))
    else:
        click.echo(f"{unit}: {facts['ActiveState']} ({facts['SubState']}), {facts['UnitFileState'] or '?'}")
        click.echo(f"  {facts['StatusText'] or 'no status yet'}")
        restarts = plural(int(facts["NRestarts"] or 0), "restart")
        click.echo(f"  pid {facts['MainPID']}, {restarts} since it was started")
    return 0 if facts["ActiveState"] == "active" else 1


@service.command(epilog=options.examples("rtsd service reload"))
@options.socket
def reload(*, socket: Path | None) -> None:
    """Reload the configuration; exit status 2, with every mistake, when it has some.

    The unit's ExecReload= runs it, so that `systemctl reload rtsd` fails with the mistakes in its journal.
    """
    done = ask(socket, lambda client: client.reload())
    click.echo("Reloaded.")
    if done.needs_restart:
        click.echo(f"Only a restart applies the changes in {', '.join(done.needs_restart)}.")


def _require_own_login(configuration: Path) -> None:
    """Raise UsageError where the service could not log in: `sf` needs the home of the user who logged in."""
    with suppress(OSError, ValueError):
        org = tomllib.loads(configuration.read_text()).get("org")
        if isinstance(org, dict) and org.get("auth") == "sf":
            raise UsageError(
                f'auth = "sf" in {configuration} is the login of one user, which a service cannot use.',
                'Use auth = "client_credentials", or "sfdx_url" with `sf org auth show-sfdx-auth-url`.',
            )


def _hand_over() -> None:
    """Let systemd take the gateway's address: it can only while rtsd does not hold it."""
    for step in (
        ("stop", "rtsd.service"),
        ("enable", "--now", "rtsd.socket"),
        ("enable", "--now", "rtsd.service"),
    ):
        _systemctl(*step)
        click.echo(f"systemctl {' '.join(step)}")


def _instances() -> list[str]:
    """The units of rtsd@.service that run or are enabled."""
    listed = _systemctl("list-units", "--all", "--plain", "--no-legend", "rtsd@*.service", tolerate=True)
    listed += _systemctl("list-unit-files", "--plain", "--no-legend", "rtsd@*.service", tolerate=True)
    names = {line.split()[0] for line in listed.splitlines() if line.strip()}
    return sorted(name for name in names if name != "rtsd@.service")


def _left(root: Path) -> list[Path]:
    """The directories of rtsd that hold configurations, secrets, mirrors, drop-ins of `systemctl edit`."""
    state, units = root / "var/lib", root / UNIT_DIRECTORY
    found = [root / CONFIG_DIRECTORY, *state.glob("private/rtsd"), *state.glob("private/rtsd-*")]
    found += [path for path in (*state.glob("rtsd"), *state.glob("rtsd-*")) if not path.is_symlink()]
    found += [*units.glob("rtsd.service.d"), *units.glob("rtsd@*.service.d"), *units.glob("rtsd.socket.d")]
    return sorted(path for path in found if path.is_dir())


def _program() -> Path:
    """Return the rtsd beside this interpreter. Raises UsageError if the service cannot access it."""
    program = Path(sys.executable).with_name("rtsd")
    if not program.exists():
        raise UsageError(f"There is no {program}.", "Install rts into an environment: docs/install.md.")
    for place in (program, program.resolve(), Path(sys.executable).resolve()):
        if any(hidden in place.parents for hidden in HIDDEN):
            raise UsageError(
                f"{place} is where a service may not look.",
                "Install rts with the system's Python elsewhere, as /opt/rtsd: docs/install.md.",
            )
    return program


def _shipped() -> Path:
    """Return the directory of the units and the example configuration, in the wheel or in a checkout."""
    package = Path(rtsd.__file__).parent
    found = [place for place in (package / "examples", package.parent / "config") if place.is_dir()]
    if not found:
        raise NotFound("The units are missing from this installation.", "Install the wheel of rts.")
    return found[0]


def _write(path: Path, text: str, mode: int) -> None:
    _directory(path.parent, 0o755)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text)
        part.chmod(mode)
        part.replace(path)
    except OSError as error:
        raise _refused(path, error) from error
    click.echo(f"wrote {path}")


def _write_if_missing(path: Path, text: str, mode: int) -> None:
    if path.exists():
        click.echo(f"kept {path}")
    else:
        _write(path, text, mode)


def _directory(path: Path, mode: int) -> None:
    try:
        if not path.is_dir():
            path.mkdir(parents=True)
            path.chmod(mode)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> StorageUnwritable:
    do = "Run it with sudo." if os.geteuid() else "Look at its directory."
    return StorageUnwritable(f"Cannot write {path}: {error.strerror}.", do)


def _systemctl(*arguments: str, tolerate: bool = False) -> str:
    program = shutil.which("systemctl")
    if program is None:
        raise RtsError(
            "There is no systemctl here.", "Without systemd, run `rtsd run` under your own supervisor."
        )
    done = subprocess.run(  # noqa: S603 - a fixed program, found on the path
        [program, "--no-pager", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode and not tolerate:
        raise RtsError(f"systemctl {arguments[0]} failed: {done.stderr.strip()}", "Is systemd running here?")
    return done.stdout
