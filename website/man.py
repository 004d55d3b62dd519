"""`make man`: the manual pages man/rtsd.1 and man/rtstui.1, made from the commands, in roff (man(7))."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from rtsd.cli.app import SECTIONS, rtsd
from rtstui.__main__ import main as rtstui
from website.reference import contexts
from website.stage import ROOT

PLACE = ROOT / "man"
FILES = r"""
.SH FILES
.TP
.I /etc/rtsd/rtsd.toml
The configuration; else $RTSD_CONFIG, or ~/.config/rtsd/rtsd.toml.
.TP
.I /var/lib/rtsd/mirror.db
The mirror in SQLite, which any program can read.
.TP
.I /run/rtsd/rtsd.sock
The control socket; else $RTSD_SOCKET, $XDG_RUNTIME_DIR/rtsd/rtsd.sock or $XDG_STATE_HOME/rtsd/rtsd.sock.
""".strip()
STATUSES = r"""
.SH EXIT STATUS
0 done; 1 it ran and found or hit a problem; 2 usage or configuration; 3 the daemon is not reachable;
75 another instance holds the state; 130 interrupted.
""".strip()


def pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    return {"rtsd.1": _rtsd(), "rtstui.1": _rtstui()}


def _rtsd() -> str:
    lines = list(_head("rtsd", rtsd, "mirror Salesforce in SQLite or PostgreSQL, and prove it right"))
    for title, section in SECTIONS.items():
        lines.append(f".SH {title.upper()}")
        for verb in section:
            for context in contexts("rtsd", rtsd, verb):
                lines += _command(context)
    return "\n".join([*lines, STATUSES, FILES, *_see("rtstui")]) + "\n"


def _rtstui() -> str:
    lines = list(_head("rtstui", rtstui, "watch a running rtsd in a terminal"))
    lines += [".SH OPTIONS", *_options(click.Context(rtstui, info_name="rtstui"))]
    lines.append(".SH COMMANDS")
    for verb in rtstui.commands:
        for context in contexts("rtstui", rtstui, verb):
            lines += _command(context)
    return "\n".join([*lines, *_see("rtsd")]) + "\n"


def _head(name: str, program: click.Group, what: str) -> Iterator[str]:
    yield f'.TH {name.upper()} 1 "" rts "User commands"'
    yield from (".SH NAME", f"{name} \\- {what}", ".SH SYNOPSIS", f".B {name}", "[OPTIONS] COMMAND [ARGS]...")
    yield ".SH DESCRIPTION"
    yield from _text(program.help or "")


def _see(other: str) -> list[str]:
    return [".SH SEE ALSO", f".BR {other} (1)"]


def _command(context: click.Context) -> Iterator[str]:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    yield f'.SS "{context.command_path} {_escaped(pieces)}"'
    yield from _text(context.command.help or "")
    yield from _options(context)
    if context.command.epilog:
        yield from _text(context.command.epilog)


def _options(context: click.Context) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            yield from (".TP", f".B {_escaped(record[0])}", _escaped(" ".join(record[1].split())))


def _text(text: str) -> Iterator[str]:
    """Yield paragraphs; one that begins with click's mark (a backspace) keeps its lines."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b"):
            yield from (".PP", ".nf", *(_escaped(line) for line in paragraph.split("\n")[1:]), ".fi")
        else:
            yield from (".PP", _escaped(" ".join(paragraph.split())))


def _escaped(text: str) -> str:
    """Return a text that roff shows as it is."""
    shown = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace('"', "\\(dq")
    return f"\\&{shown}" if shown.startswith((".", "\\(aq")) else shown


def main() -> None:
    """Write the pages."""
    PLACE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (PLACE / name).write_text(text)
        click.echo(PLACE / name)


if __name__ == "__main__":
    main()
