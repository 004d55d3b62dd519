"""Rigs: a daemon's parts beside a simulated org, as tests.support.inprocess.rig describes them."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from rtssim.clock import Clock
from rtssim.org import Org
from rtssim.process import serve
from tests.support.inprocess.rig import START, Rig, Start

TRIES = 200


_trust_roots = functools.cache(ssl.create_default_context)
"""Reading the system's takes as long; rigs speak plain HTTP anyway."""


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Makes rigs, of so many records; `more` is TOML for the configuration, `run=False` only prepares.

    With `pubsub` the org serves the Pub/Sub API.
    """
    async with AsyncExitStack() as stack:

        async def make(
            records: Mapping[str, int],
            *,
            objects: tuple[str, ...] = (),
            more: str = "",
            run: bool = True,
            pubsub: bool = False,
        ) -> Rig:
            org = Org(seed=3, records=records, clock=Clock(START, speed=0.0))
            stack.callback(org.close)
            sim = await stack.enter_async_context(serve(org, pubsub=pubsub))
            rig = Rig(sim, org, tmp_path, objects or tuple(records), more)
            monkeypatch.setattr(ssl, "create_default_context", _trust_roots)
            if run:
                await stack.enter_async_context(rig.running())
            return rig

        yield make


@pytest.fixture
async def contacts(start: Start) -> Rig:
    """A few contacts, loaded, with the package installed."""
    rig = await start({"Contact": 12})
    await rig.load()
    await rig.install_package()
    return rig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a mirror's file is, or comes."""
    return tmp_path / "mirror.db"


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], Awaitable[None]]:
    """Wait until a condition holds, turn by turn of the loop."""

    async def wait(condition: Callable[[], Any]) -> None:
        for _ in range(TRIES):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not come to pass")

    return wait
