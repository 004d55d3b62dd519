"""The ways of a push and of a Bulk page in docs/architecture.md lead through the code, stop by stop."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import textwrap
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from tests.support.diagrams import DOC

WAYS = ("The way of a push", "The way of a Bulk page")
MOST_STOPS = 12
"""More than a dozen nobody keeps in mind."""
STOP = re.compile(r"(?m)^(\d+)\. `([^`]+)` (.+(?:\n {3,}.+)*)")
"""A numbered paragraph that begins with a name."""
NAME = re.compile(r"`([a-z_]+(?:\.\w+)+)`")
"""A name below rtsd: paths have slashes."""


class Stop(NamedTuple):
    """One stop: its number, the name that it begins with, and what happens there."""

    number: int
    name: str
    text: str


class HandOver(NamedTuple):
    """How a stop leads to the next one without calling it."""

    carrier: str
    """What carries it; the stop names it."""
    taker: str
    """What calls the next stop with it."""
    why: str


HANDED_OVER = {
    (
        "rtsd/apex/force-app/main/default/classes/RTS_Gateway.cls",
        "gateway.listener.Listener._accept",
    ): HandOver("POST /v1/push", "gateway.listener.Listener._watch", "over the network"),
    ("gateway.listener.Listener._accept", "gateway.server.GatewayServer._push"): HandOver(
        "gateway.connection.PushConnection",
        "gateway.server.GatewayServer.start",
        "aiohttp parses the request, and its router calls the handler",
    ),
    ("store.inbox.Inbox.append", "store.inbox.Inbox.commit"): HandOver(
        "_waiting", "store.inbox.Inbox.step", "a queue: one commit takes all that wait"
    ),
    ("store.inbox.Inbox.commit", "sync.realtime.RealTime.apply_batch"): HandOver(
        "arrived", "sync.realtime.RealTime.step", "an event wakes the service; the pushes are in the inbox"
    ),
    ("store.journal.Journal.append", "control.feed.Feed.publish"): HandOver(
        "entries", "daemon.parts.Publisher.__call__", "a callback after the commit: sync knows no feed"
    ),
    ("salesforce.bulk.Job._download", "sync.audit.StateAudit._store"): HandOver(
        "sync.reading.Chunk",
        "sync.audit.StateAudit._read_by_bulk",
        "rows are yielded through the generators to the loop that asked for them",
    ),
}


def section(title: str) -> str:
    """The text below a heading."""
    return DOC.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def stops(title: str) -> list[Stop]:
    """The stops of a way."""
    return [Stop(int(number), name, text) for number, name, text in STOP.findall(section(title))]


def resolve(name: str) -> Any:
    """The object of a dotted name below rtsd. Raises AttributeError where there is none."""
    return pkgutil.resolve_name(f"rtsd.{name}")


def is_path(name: str) -> bool:
    """Whether a stop is a file: Apex has no names that Python could resolve."""
    return "/" in name


def members(name: str) -> set[tuple[str, str]]:
    """What the code of a stop uses of others, as (whose, what); comments and texts do not count."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(resolve(name))))
    return {
        (ast.unparse(node.value).rpartition(".")[2], node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    }


def leads_to(name: str, following: str) -> bool:
    """Whether the code of a stop names another one: its own method, or one of what is called like its class.

    Without the class any `append` would lead to the journal. A `unit` is enough for a UnitOfWork.
    """
    if is_path(name):
        return False
    home, _, method = following.rpartition(".")
    owner = home.rpartition(".")[2].lower()
    return any(
        name.startswith(f"{home}.") if whose == "self" else owner.startswith(whose.strip("_").lower() or "?")
        for whose, what in members(name)
        if what == method
    )


def gaps(way: list[Stop]) -> list[str]:
    """Where a reader would be lost: stops that neither lead to the next one nor hand over to it."""
    found = []
    for stop, following in pairwise(way):
        handed = HANDED_OVER.get((stop.name, following.name))
        if handed is None:
            if not leads_to(stop.name, following.name):
                found.append(f"{stop.name} does not lead to {following.name}")
        elif f"`{handed.carrier}`" not in stop.text:
            found.append(f"{stop.name} does not name `{handed.carrier}`")
        elif not leads_to(handed.taker, following.name):
            found.append(f"{handed.taker} does not lead to {following.name}")
    return found


@pytest.mark.parametrize("title", WAYS)
def test_a_way_has_a_dozen_stops_at_most(title: str) -> None:
    """Every item of the list is a stop, numbered in order."""
    numbers = [stop.number for stop in stops(title)]
    assert numbers == [int(number) for number in re.findall(r"(?m)^(\d+)\.", section(title))]
    assert numbers == list(range(1, len(numbers) + 1))
    assert 1 < len(numbers) <= MOST_STOPS


@pytest.mark.parametrize("title", WAYS)
def test_every_name_exists(title: str) -> None:
    """The stops and the names in their texts."""
    for name in NAME.findall(section(title)):
        assert resolve(name) is not None
    for stop in stops(title):
        exists = (DOC.parents[1] / stop.name).exists() if is_path(stop.name) else callable(resolve(stop.name))
        assert exists, stop.name


@pytest.mark.parametrize("title", WAYS)
def test_each_stop_leads_to_the_next(title: str) -> None:
    """Who reads the code of a stop finds the next one there."""
    assert gaps(stops(title)) == []


def test_hand_overs_are_needed() -> None:
    """Each is in a way, between two stops of which the first does not call the second."""
    ways = [stops(title) for title in WAYS]
    pairs = {(stop.name, after.name) for way in ways for stop, after in pairwise(way)}
    assert HANDED_OVER.keys() <= pairs
    assert [pair for pair in HANDED_OVER if leads_to(*pair)] == []


def test_a_detour_is_found() -> None:
    """A stop that is left out, a name that is gone, and a carrier that the text does not name."""
    way = stops("The way of a push")
    assert gaps([way[8], way[4]]) == [f"{way[8].name} does not lead to {way[4].name}"]  # another `append`
    assert gaps([way[2], way[4]]) == [f"{way[2].name} does not lead to {way[4].name}"]
    assert gaps([way[4]._replace(text="returns"), way[5]]) == [f"{way[4].name} does not name `_waiting`"]
    for gone in ("store.inbox.Inbox.gone", "store.gone.Inbox"):
        with pytest.raises(AttributeError):
            resolve(gone)
