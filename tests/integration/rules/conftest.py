"""A receiver, and rigs whose rules send there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.support.inprocess.rig import Start
from tests.support.inprocess.rules import Make, Receiver, Ruled
from tests.support.serving import served


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything, until told otherwise."""
    made = Receiver()
    async with served(made.take, "POST", "/hook") as url:
        made.port = urlsplit(url).port or 0
        yield made
        if made.held is not None:
            made.held.set()


@pytest.fixture
async def ruled(start: Start, receiver: Receiver) -> AsyncIterator[Make]:
    """Makes rigs of a few contacts, loaded, with the package installed and these rules (TOML)."""
    made: list[Ruled] = []

    async def make(rules: str | None = None, *, records: int = 3, run: bool = True) -> Ruled:
        more = (receiver.rule() if rules is None else rules).replace("{", "{{").replace("}", "}}")
        rig = await start({"Contact": records}, more=more, run=run)
        sender = Ruled(rig, receiver)
        if run:
            await sender.begin()
            made.append(sender)
        return sender

    yield make
    for open_sender in made:
        await open_sender.rig.parts.rule_engine.deliverer.close()
