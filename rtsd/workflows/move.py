"""The move of the mirror into another store: everything moved and proven, and the key copied."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rtsd.errors import Conflict, StorageUnwritable, UnfinishedMove, UsageError
from rtsd.store.engine import Engine
from rtsd.store.moving.mover import Moved, Mover, Tell
from rtsd.store.moving.progress import progress
from rtsd.store.moving.sides import Begin


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was moved, and whether the key that signs certificates went along."""

    moved: Moved
    key: Path | None
    """Where the key is now; None if there was none, or another one is there."""


async def move(origin: Engine, destination: Engine, tell: Tell, begin: Begin = Begin.REFUSE) -> Outcome:
    """Move the mirror; `begin` says what to do with what an interrupted move has left.

    Raises UsageError if both are of one kind, and the errors of the store.
    """
    if type(origin) is type(destination):
        raise UsageError(
            f"{origin.name} and {destination.name} are stores of the same kind.",
            "Copy a file with rtsd backup, and schemas with pg_dump.",
        )
    async with origin.as_source() as source:
        try:
            async with destination.as_target(origin.name, begin) as target:
                moved = await Mover(source, target, tell).run()
        except UnfinishedMove as error:
            raise await _with_progress(error, origin, destination) from None
    return Outcome(moved, _copy_key(origin.key_file, destination.key_file))


async def _with_progress(error: UnfinishedMove, origin: Engine, destination: Engine) -> UnfinishedMove:
    """Return the error with what is there; without, if it is from elsewhere."""
    try:
        async with (
            destination.as_target(origin.name, Begin.RESUME) as target,
            target.read_again() as reader,
        ):
            return UnfinishedMove(f"{error.message}; {await progress(reader)}", error.do)
    except Conflict:
        return error


def _copy_key(origin: Path, destination: Path) -> Path | None:
    """Copy the key that signs certificates, unless there is one: that may belong to another mirror."""
    if not origin.is_file() or destination.exists():
        return None
    try:
        destination.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        destination.touch(mode=0o600)
        shutil.copyfile(origin, destination)
    except OSError as error:
        raise StorageUnwritable(
            f"the mirror is moved, but the key that signs certificates cannot be copied: {error.strerror}",
            f"copy {origin} to {destination}, readable by the user that runs rtsd alone",
        ) from error
    return destination
