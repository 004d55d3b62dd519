"""The mirrored objects, in the order of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rtsd.core.object_state import ObjectEvent
from rtsd.core.payload import Push
from rtsd.core.privacy import MaskedPush, Privacy, masked_push
from rtsd.core.schema import ObjectConfig
from rtsd.store import held, meta, objects
from rtsd.store.database import Database
from rtsd.store.objects import StoredObject
from rtsd.sync import selection
from rtsd.sync.mirrored_object import MirroredObject

PRIVACY_KEY = "privacy_key"
"""The key of `privacy_key`."""


class Catalog:
    """Every mirrored object, by name and in the order of the configuration."""

    def __init__(self, mirrored: Mapping[str, MirroredObject]) -> None:
        self._objects = mirrored
        self._by_lower_name = {name.lower(): found for name, found in mirrored.items()}

    @classmethod
    async def open(cls, database: Database, configs: Sequence[ObjectConfig], key: bytes) -> Catalog:
        """Restore the state of the last run, and add rows for new objects. `key` is that of `privacy_key`.

        Objects that are not configured any more lose their proof: nothing follows their changes now.
        """
        known = await objects.load(database)
        mirrored = {}
        async with database.transaction() as tx:
            for config in configs:
                before = known.get(config.name) or StoredObject(config.name)
                reread = await selection.reason_to_reread(database, config, before)
                stored = before.after(ObjectEvent.RESTARTED)
                if reread:
                    stored = stored.after(ObjectEvent.DISPROVEN, f"{reread}; it is read again")
                elif stored.cursor is not None and stored.to_fill:
                    reason = f"columns are being filled: {', '.join(stored.to_fill)}"
                    stored = stored.after(ObjectEvent.DISPROVEN, reason)
                await objects.add(tx, config.name)
                await objects.save(tx, before, stored)
                restored = MirroredObject(config, _privacy(config, key), stored)
                restored.suspicions.reread = reread
                mirrored[config.name] = restored
            for name in known.keys() - mirrored.keys():
                await objects.save(tx, known[name], known[name].left_out())
            waiting = [restored.name for restored in mirrored.values() if restored.holds_pushes]
            await held.release_all_but(tx, waiting)
        return cls(mirrored)

    def __iter__(self) -> Iterator[MirroredObject]:
        return iter(self._objects.values())

    def __getitem__(self, name: str) -> MirroredObject:
        return self._objects[name]

    def find(self, name: str) -> MirroredObject | None:
        """Return the object of that name, ignoring case; None if it is not mirrored."""
        return self._by_lower_name.get(name.lower())

    def protect(self, push: Push) -> MaskedPush:
        """Apply the privacy rules to a push, in place, before it is stored."""
        return masked_push(push, self._privacy_of)

    def _privacy_of(self, name: str) -> Privacy | None:
        mirrored = self.find(name)
        return mirrored.privacy if mirrored else None


def privacy_rules(configs: Sequence[ObjectConfig], key: bytes) -> Callable[[str], Privacy | None]:
    """Return what finds the privacy rules of an object by its name, ignoring case."""
    rules = {config.name.lower(): _privacy(config, key) for config in configs}
    return lambda name: rules.get(name.lower())


def _privacy(config: ObjectConfig, key: bytes) -> Privacy:
    return Privacy(config.privacy, key, exclude=config.exclude, fields=config.fields)


async def privacy_key(database: Database, random_bytes: Callable[[int], bytes]) -> bytes:
    """Return the key of this mirror's hashes, created on first use."""
    found = await meta.get(database, PRIVACY_KEY)
    if found is None:
        found = random_bytes(32).hex()
        async with database.transaction() as tx:
            await meta.put(tx, PRIVACY_KEY, found)
    return bytes.fromhex(found)
