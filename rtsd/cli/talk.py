"""A conversation on a terminal: prompts with defaults, choices, and `?` for an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from rtsd import logs
from rtsd.cli.output import in_role
from rtsd.core.problem import Problem
from rtsd.core.spelling import did_you_mean

INDENT = "     "


@dataclass(frozen=True, slots=True)
class Option:
    """One of several answers; `hindrance` says why it cannot be given here."""

    name: str
    text: str
    hindrance: str = ""


class Talk:
    """Speaks to a person; with `err` on stderr, so that stdout is a program's."""

    def __init__(self, *, err: bool = False) -> None:
        self._err = err

    @property
    def is_err(self) -> bool:
        """Whether it speaks on stderr."""
        return self._err

    def say(self, text: str = "") -> None:
        """Print a line."""
        click.echo(_shown(text), err=self._err)

    def found(self, text: str) -> None:
        """Print what a trial has found."""
        click.echo(f"{in_role('  ok', 'ok')} {_shown(text)}", err=self._err)

    def refused(self, problems: Sequence[Problem]) -> None:
        """Print why an answer cannot be used, and what to do."""
        for problem in problems:
            self._problem("  no", "error", problem)

    def note(self, problem: Problem) -> None:
        """Print what works nevertheless, or will after a later step."""
        self._problem("note", "warn", problem)

    def _problem(self, sign: str, role: str, problem: Problem) -> None:
        click.echo(f"{in_role(sign, role)} {_shown(problem.what)}", err=self._err)
        if problem.do:
            click.echo(f"{INDENT}{_shown(problem.do)}", err=self._err)

    def ask(self, label: str, explanation: str, default: str = "", *, hidden: bool = False) -> str:
        """Ask until something is answered; `?` prints the explanation. Raises click.Abort at Ctrl-C."""
        shown = "Enter keeps it" if hidden and default else default
        while True:
            answer = click.prompt(
                f"{label} [{shown}]" if shown else label,
                default="",
                show_default=False,
                hide_input=hidden,
                err=self._err,
            ).strip()
            if answer == "?":
                self._explain(explanation)
            elif answer or default:
                return answer or default

    def choose(self, label: str, options: Sequence[Option], explanation: str, default: str) -> str:
        """Ask for one of several options, by number or name."""
        width = max(len(option.name) for option in options)
        for number, option in enumerate(options, 1):
            why = f" - not here: {option.hindrance}" if option.hindrance else ""
            self.say(f"{INDENT}{number} {option.name:{width}}  {option.text}{why}")
        names = [option.name for option in options]
        while True:
            answer = self.ask(label, explanation, default)
            if answer.isdecimal() and 1 <= int(answer) <= len(names):
                return names[int(answer) - 1]
            if answer in names:
                return answer
            self.say(f"{INDENT}A number from 1 to {len(names)}, or a name.{did_you_mean(answer, names)}")

    def _explain(self, text: str) -> None:
        for line in text.strip().splitlines():
            self.say(f"{INDENT}{line.strip()}")


def _shown(text: str) -> str:
    """Return text without secrets that were answered, and without control characters."""
    return logs.clean(logs.redact(text))
