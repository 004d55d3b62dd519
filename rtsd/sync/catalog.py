"""The mirrored objects, in the order of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rtsd.core.object_state import ObjectEvent
from rtsd.core.payload import Push
from rtsd.core.privacy import MaskedPush, Privacy, masked_push
from rtsd.core.schema import ObjectConfig
from rtsd.store import inbox, meta, objects
from rtsd.store.database import Database
from rtsd.store.objects import StoredObject
from rtsd.sync import selection
from rtsd.sync.mirrored_object import MirroredObject

_PRIVACY_KEY = "privacy_key"


class Catalog:
    """Every mirrored object, by name and in the order of the configuration."""

    def __init__(self, mirrored: Mapping[str, MirroredObject]) -> None:
        self._objects = mirrored
        self._by_lower_name = {name.lower(): found for name, found in mirrored.items()}

    @classmethod
    async def open(
        cls, database: Database, configs: Sequence[ObjectConfig], random_bytes: Callable[[int], bytes]
    ) -> Catalog:
        """Restore the state of the last run, and add rows for new objects.

        Objects that are not configured any more lose their proof: nothing follows their changes now.
        """
        key = await _privacy_key(database, random_bytes)
        known = await objects.load(database)
        mirrored = {}
        async with database.transaction() as tx:
            for config in configs:
                before = known.get(config.name) or StoredObject(config.name)
                reread = await selection.reason_to_reread(database, config, before)
                stored = before.after(ObjectEvent.RESTARTED)
                if reread:
                    stored = stored.after(ObjectEvent.DISPROVEN, f"{reread}; it is read again")
                await objects.add(tx, config.name)
                await objects.save(tx, before, stored)
                restored = MirroredObject(config, Privacy(config.privacy, key), stored)
                restored.suspicions.reread = reread
                mirrored[config.name] = restored
            for name in known.keys() - mirrored.keys():
                await objects.save(tx, known[name], known[name].left_out())
            waiting = [restored.name for restored in mirrored.values() if restored.holds_pushes]
            await inbox.release_all_but(tx, waiting)
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


async def _privacy_key(database: Database, random_bytes: Callable[[int], bytes]) -> bytes:
    """Return the key of this mirror's hashes, created on first use."""
    found = await meta.get(database, _PRIVACY_KEY)
    if found is None:
        found = random_bytes(32).hex()
        async with database.transaction() as tx:
            await meta.put(tx, _PRIVACY_KEY, found)
    return bytes.fromhex(found)
