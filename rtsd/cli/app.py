"""The `rtsd` command: its verbs, loaded when they are used, and the report of their errors.

Exit status: 0 done · 1 it ran and found or hit a problem · 2 usage or configuration · 3 the daemon is
not reachable · 75 another instance holds the state · 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import TextIO, TypeVar

import click

from rtsd import __version__, logs
from rtsd.cli.groups import Group
from rtsd.errors import ConfigError, DeployFailed, RtsError
from rtsd.users import user_name

T = TypeVar("T", bound=click.Command | Callable[..., object])

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Run": {
        "init": "Write a configuration from five answers, each tried when it is given.",
        "run": "Run the daemon in the foreground.",
        "check": "Check everything before the first byte is read, and price it.",
        "demo": "Play the main job: simulated org, daemon and dashboard.",
        "service": "Run rtsd under systemd: install, uninstall, status, reload.",
        "simulate": "Run a simulated Salesforce org.",
        "import": "Write a configuration from what another product exports.",
        "mcp": "Serve the mirror to an assistant, by the Model Context Protocol over stdin and stdout.",
        "completion": "Print a script that completes verbs and options in a shell.",
    },
    "Look": {
        "status": "Show whether the mirror is right and fresh, what it costs, mode, push, objects and quota.",
        "objects": "Show each mirrored object: rows, freshness, drift.",
        "events": "Show the newest entries of the journal as lines; --follow keeps them coming.",
        "missed": "Show which changes came by no push, when and why.",
        "why": "Explain one record: mirror and org side by side, and everything that touched it.",
        "history": "Show a record's past values, and which source brought each.",
        "quota": "Show the org's limits and who uses them.",
        "errors": "Show the error log.",
        "nodes": "Show the nodes that share a PostgreSQL database, and which of them leads.",
        "dead-letters": "Show pushes and deliveries that could not be used; retry or drop them.",
        "find": "Find records by id, or by a part of a name, an e-mail address or a phone number.",
        "sql": "Run a read-only query on the mirror.",
        "export": "Write all rows of an object to FILE, as CSV or Parquet.",
        "rules": "Show rules and alerts; test a rule against the past.",
    },
    "Act": {
        "audit": "Compare objects with the org and repair the differences.",
        "repair": "Fetch records again.",
        "conditions": "Show or change the fields whose change makes the package push.",
        "stream": "Show the subscription; select objects for Change Data Capture.",
        "package": "Deploy the package to the org, compare it, switch it, remove it.",
        "verify": "Verify the mirror: its file, its counts, its stored values, and the org's fingerprint.",
        "move": "Move the mirror into another store, proven equal.",
        "backup": "Write a consistent copy of the mirror to FILE, while rtsd runs.",
        "pause": "Stop applying changes.",
        "resume": "Apply changes again.",
    },
}
"""Every verb with its one-line help, by section; the module is `rtsd.cli.<verb>`, `import_` for `import`."""

_HELP = """Keep a local mirror of Salesforce, seconds fresh, that can prove it is right.

\b
First steps:
  rtsd demo                 everything together, with a simulated org
  rtsd init                 a configuration for your org, from five questions
  rtsd check -c rtsd.toml   check everything, and price the first audit
  rtsd run -c rtsd.toml     the daemon; rtstui shows it live
  rtsd status               everything at a glance

Verbs that talk to the daemon find its socket by --socket, $RTSD_SOCKET, /run/rtsd/rtsd.sock,
$XDG_RUNTIME_DIR/rtsd/rtsd.sock, $XDG_STATE_HOME/rtsd/rtsd.sock.
"""
_EPILOG = "rtsd VERB --help explains a verb, with examples."
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Verbs(Group):
    """A group that imports a verb's module on first use, so that help and start are quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the help."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a verb."""
        if cmd_name not in self.list_commands(ctx):
            return None
        attribute = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command: click.Command = getattr(importlib.import_module(f"rtsd.cli.{attribute}"), attribute)
        command.context_settings = {**_CONTEXT, **command.context_settings}
        if not any(option.name == "version" for option in command.params):  # imported before
            _version_option(hidden=True)(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs by section, without importing them."""
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()), col_max=16)


def _version_option(*, hidden: bool = False) -> Callable[[T], T]:
    return click.version_option(__version__, "--version", message="rtsd %(version)s", hidden=hidden)


@click.group(cls=Verbs, context_settings=_CONTEXT, help=_HELP, epilog=_EPILOG)
@_version_option()
def rtsd() -> None:
    """Hold the verbs; each does its own work."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status; an error becomes one or two lines."""
    if sys.stdout is None:  # closed, as by `>&-`
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - the same
    try:
        status = _run(arguments)
        _flush()
    except Exception as error:
        failed = _of_output(error)
        if failed is None:
            raise
        return _output_failed(failed)
    return status


def _run(arguments: Sequence[str] | None) -> int:  # noqa: PLR0911 - one return for each way to end
    try:
        outcome = rtsd.main(args=arguments, prog_name="rtsd", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        click.echo(help_wanted.format_message())
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "rtsd"
        return _say(error.format_message(), f"See {where} --help.", 2)
    except click.ClickException as error:
        return _say(error.format_message(), "", 1)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except SystemExit:  # click's way to end when nobody reads its output any more
        return 1
    except Exception as error:
        if _of_output(error) is not None:
            raise
        return _report(error)
    return outcome if isinstance(outcome, int) else 0


def _flush() -> None:
    sys.stdout.flush()


def _of_output(error: BaseException | None) -> OSError | None:
    """Return the failure to write to stdout that `error` is or contains: closed, full, or broken."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := _of_output(inner))), None)
    if not isinstance(error, OSError):
        return None
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code if trace is not None else None
    return error if code in (click.echo.__code__, _flush.__code__) else None


def _output_failed(error: OSError) -> int:
    """Say what is wrong with stdout; nothing where its reader went away, which is no mistake."""
    _discard(sys.stdout)
    if error.errno == errno.EPIPE:
        return 1
    return _say(f"The output cannot be written: {error.strerror}.", "Look at where stdout leads to.", 1)


def _report(error: Exception) -> int:
    """Print an error and return its exit status; keep the details of an unexpected one."""
    known = _known(error)
    if isinstance(known, ConfigError) and known.mistakes:
        return _say(known.message, "\n".join(known.mistakes), known.exit_status)
    if isinstance(known, DeployFailed) and known.details:
        return _say(known.message, "\n".join((*known.details, known.do)), known.exit_status)
    if known is not None:
        return _say(known.message, known.do, known.exit_status)
    if os.environ.get("RTSD_DEBUG"):
        raise error
    if (closed := _closed(error)) is not None:
        what = f"{closed.filename}: no permission for the user {user_name(os.geteuid())}."
        return _say(what, "Give this user access, or run rtsd as one that has it.", 1)
    details = logs.redact("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile("w", prefix="rtsd-error-", suffix=".log", delete=False) as file:
        file.write(details)
    message = f"This is a bug in rtsd: {type(error).__name__}: {error}"
    return _say(message, f"The details are in {file.name}; please report them.", 1)


def _closed(error: BaseException) -> PermissionError | None:
    """Return the refused access to a file that `error` is or contains: no mistake of rtsd's."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := _closed(inner))), None)
    return error if isinstance(error, PermissionError) and error.filename is not None else None


def _known(error: BaseException) -> RtsError | None:
    """Return the RtsError that `error` is, or that it contains as an exception group."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for inner in error.exceptions if (found := _known(inner))), None)
    return error if isinstance(error, RtsError) else None


def _say(message: str, do: str, status: int) -> int:
    lines = [f"rtsd: {logs.clean(logs.redact(message))}"]
    lines += [f"      {logs.clean(logs.redact(line))}" for line in do.splitlines()]
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)  # noqa: T201 - this is the command line's voice
    except OSError:  # it may be full, too: the status still tells
        _discard(sys.stderr)
    return status


def _discard(stream: TextIO) -> None:
    """Lead a stream that cannot be written to nowhere, or the interpreter would fail at its last flush."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
