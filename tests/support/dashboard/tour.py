"""A tour of the dashboard by keys: every view, every prompt, every dialog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from rtstui.app import RtsTui
from rtstui.screens.view import View
from tests.support.dashboard.app import filled, still_app, text, until
from tests.support.dashboard.papers import CONTACT
from tests.support.dashboard.scenarios import silent
from tests.support.dashboard.watching import pressed, watching


@dataclass(frozen=True, slots=True)
class Stop:
    """Keys to press, words that are on the screen then, and the keys that lead back."""

    keys: tuple[str, ...]
    seen: str
    back: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The keys as a text."""
        return " ".join(self.keys)


def typed(words: str) -> tuple[str, ...]:
    """The keys that type these words."""
    return tuple("space" if letter == " " else letter for letter in words)


ESC = ("escape",)
STOPS = (
    Stop(("1",), "Opportunity"),
    Stop(("question_mark",), "IN THIS VIEW", ESC),
    Stop(("colon",), "earch for", ESC),
    Stop(("ctrl+o",), "enter shows it", ESC),
    Stop(("ctrl+f",), "mirror alone"),
    Stop(typed("acme"), "Ana Oliveira", ESC),
    Stop(("L",), "dropped dead letter", ESC),
    Stop(("2",), "newest 18"),
    Stop(("slash", *typed("/(/")), "missing )", ESC),
    Stop(("f",), "go on", ESC),
    Stop(("up", "d"), "copies it as JSON", (*ESC, *ESC)),
    Stop(("3",), "last check"),
    Stop(("A",), "Audit of Account"),
    Stop(("x",), "x", ESC),
    Stop(("P",), "Pause Account", ESC),
    Stop(("4",), "OrgUnreachable"),
    Stop(("up", "up", "enter"), "esc closes", ESC),
    Stop(("tab", "space", "R"), "Retry 1 dead letter", ESC),
    Stop(("D",), "Drop 1 dead letter", ESC),
    Stop(("5",), "Daily limits"),
    Stop(("6", "down"), "Contact: push when"),
    Stop(("enter", "space"), "Not applied yet"),
    Stop(("enter",), "Change the sync", ESC),
    Stop(("c",), "Read the sync", ESC),
    Stop(("X",), "push in Salesforce", ESC),
    Stop(("7",), "Audits and repairs"),
    Stop(("V",), "Verify the whole", ESC),
    Stop(("tab", "enter"), "Without a push", ESC),
    Stop(("tab", "enter"), "entry ", ESC),
    Stop(("S",), "Store: SQLite"),
    Stop(("8",), "shows its record"),
    Stop(("slash",), "bject and id"),
    Stop(ESC, "shows its record"),
    Stop(("4", "tab", "up", "enter"), "Touched by"),
    Stop(("down", "enter"), "esc closes", ESC),
    Stop(("c",), "with the org?", ESC),
    Stop(("R",), "again?", ESC),
    Stop(("9",), "webinar-sequence"),
    Stop(("down",), "circuit open"),
    Stop(("T",), "24h", ESC),
    Stop(("0",), "Type a SELECT"),
    Stop(typed("Z"), "enter runs"),
    Stop(("tab",), "No table or column"),
    Stop(("backspace", *typed("SELECT Na"), "tab"), "1 of "),
    Stop(("ctrl+n", "x"), "or ctrl+r"),
    Stop(("ctrl+r",), "Person 3"),
    Stop(("d",), "Row 1", ESC),
)
"""Every view, prompt and dialog; each begins where the one before it has led back to."""


async def tour(app: RtsTui, pilot: Pilot[int], *, fits: bool = True) -> AsyncIterator[Stop]:
    """Press the keys of each stop, and yield it once it is on the screen, which `fits` its words."""
    for stop in STOPS:
        await pressed(pilot, *stop.keys)
        if fits:
            await until(lambda stop=stop: stop.seen in text(app), pilot)
        yield stop
        before = app.screen
        await pressed(pilot, *stop.back)
        if stop.back and not isinstance(before, View):
            await until(lambda before=before: app.screen is not before, pilot)


@asynccontextmanager
async def toured(socket: Path, **options: Any) -> AsyncIterator[tuple[RtsTui, Pilot[int]]]:
    """The dashboard, live on one daemon and with another to choose."""
    async with watching(socket, size=(80, 24), **options) as (app, pilot, daemon):
        daemon.letters[1].record = CONTACT
        app.link.read_log()
        app.links.append(still_app(filled(silent())).links[0])
        yield app, pilot
