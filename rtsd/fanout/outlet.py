"""One stream: its position, and pages of changes published at least once, in order per record.

A page is published by lanes, one for each of its records, many at a time: a change is sent once the record's
change before it is acknowledged. So a change that fails, or whose acknowledgement is lost, holds up the
changes of its record and no others, and none overtakes it. The position is the last change before which
nothing waits; it is stored in the mirror.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from rtsd.core import backoff
from rtsd.core.instant import MINUTE_MS, Millis, from_iso
from rtsd.core.nats_credentials import Credentials
from rtsd.core.plural import plural
from rtsd.errors import ChangesLost, PublishFailed, StoreError, place
from rtsd.fanout import cloudevent
from rtsd.fanout.changes import Changes
from rtsd.fanout.checkpoints import Record
from rtsd.store import journal, meta
from rtsd.store.database import Database
from rtsd.sync.unit_of_work import UnitsOfWork

SMALLEST_PAGE, LARGEST_PAGE = 50, 1_000
"""Changes that are read at once; a page grows as long as its documents are small."""
PAGE_BYTES = 8 << 20
MOST_IN_FLIGHT = 256
"""Messages without an acknowledgement."""
IDLE_S = 1.0
"""Seconds between checks of an idle stream's connection; a change wakes it at once."""
SAVE_EVERY_MS: Millis = 1_000
"""A commit for every page would cost more than the page; what is published again has the same id."""
SAVE_IDLE_MS: Millis = MINUTE_MS
"""The same where only other entries than changes were passed."""
RETRY_FIRST_MS: Millis = 500
RETRY_MAX_MS: Millis = 15_000

log = structlog.get_logger("rtsd.fanout")


@dataclass(frozen=True, slots=True)
class Target:
    """A configured stream, and how to reach it."""

    name: str
    urls: tuple[str, ...]
    stream: str
    credentials: Credentials | None = None
    ca_file: Path | None = None
    create: bool = False
    replicas: int = 1
    from_start: bool = False
    """Whether a stream that was never published to gets what the journal has, or only what comes."""


class Link(Protocol):
    """A connection to a stream."""

    limit: int
    """Bytes of the largest document."""

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""

    async def publish(self, subject_: str, message_id: str, body: bytes) -> None:
        """Publish a message, and return once it is stored. Raises PublishFailed."""

    async def close(self) -> None:
        """Close it."""


Connect = Callable[[Target, str, Sequence[str]], Awaitable[Link]]
"""Connects to a target's stream, for an org's id and its objects. Raises PublishFailed."""


@dataclass(slots=True)
class Numbers:
    """What status tells of a stream, since the start but for `lost`."""

    published: int = 0
    cut: int = 0
    """Documents whose values were left out, as they were larger than the stream takes."""
    failures: int = 0
    lost: int = 0
    """Entries of the journal that retention deleted before they were published."""


class _Position(msgspec.Struct):
    """As stored in the mirror."""

    acknowledged: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class _Document:
    seq: int
    subject: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """What all outlets publish from."""

    database: Database
    work: UnitsOfWork
    now: Callable[[], Millis]
    org_id: Callable[[], str | None]
    objects: Sequence[str]
    connect: Connect


@dataclass(slots=True)
class Outlet:
    """A stream that is published to (see the module)."""

    target: Target
    source: Source
    numbers: Numbers = field(default_factory=Numbers)
    position: int | None = None
    """The last entry up to which all changes are acknowledged; None before it is restored."""
    error: PublishFailed | None = None
    failing_since: Millis | None = None
    page: int = SMALLEST_PAGE
    """Changes that are read at once."""
    _changes: Changes = field(init=False)
    _link: Link | None = None
    _ahead: set[int] = field(default_factory=set)
    """Changes after the position that are acknowledged already."""
    _retries: int = 0
    _gap: tuple[int, int] | None = None
    """The first and the last lost entry that were not reported yet."""
    _has_told_gap: bool = False
    _saved: int = 0
    _saved_at: Millis = 0
    _has_news: bool = False
    """Whether changes were acknowledged since the position was stored."""

    def __post_init__(self) -> None:
        self._changes = Changes(self.source.database)

    @property
    def is_connected(self) -> bool:
        """Whether the stream was reached, and still is."""
        return self._link is not None and self._link.is_open

    @property
    def key(self) -> str:
        """Where the position is stored."""
        return f"stream {self.target.name}"

    async def turn(self) -> float:
        """Publish a page of changes; return the seconds until the next turn. Raises StoreError."""
        org_id = self.source.org_id()
        if org_id is None:
            return IDLE_S
        try:
            pause = await self._turn(org_id)
        except PublishFailed as error:
            return await self._failed(error)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - reported as a failure; the mirror goes on
            log.warning(
                "stream failed unexpectedly",
                stream=self.target.name,
                error=type(error).__name__,
                place=place(error),
            )
            return await self._failed(PublishFailed(f"rtsd itself failed: {type(error).__name__}"))
        await self._succeeded()
        return pause

    async def close(self) -> None:
        """Close the connection, and store the position."""
        await self._disconnect()
        with suppress(StoreError):
            await self._save()

    async def _turn(self, org_id: str) -> float:
        if self.position is None:
            await self._restore()
        newest = await journal.newest_seq(self.source.database)
        await self._pass_gap(newest)
        link = await self._linked(org_id)
        documents = await self._documents(org_id, link.limit, newest)
        if documents:
            await self._publish(link, org_id, documents)
        elif self.position is not None and newest > self.position:
            self.position = newest
        await self._save_if_due()
        return 0.0 if documents else IDLE_S

    async def _restore(self) -> None:
        """Take the position of the last run; a new stream begins with what comes, or with the journal."""
        stored = await meta.get(self.source.database, self.key)
        if stored is not None:
            found = msgspec.json.decode(stored, type=_Position)
            self.position, self.numbers.lost = found.acknowledged, found.lost
            self._saved = found.acknowledged
            return
        if self.target.from_start:
            self.position = max(await journal.oldest_seq(self.source.database) - 1, 0)
        else:
            self.position = await journal.newest_seq(self.source.database)
        self._saved = -1
        await self._save()

    async def _pass_gap(self, newest: int) -> None:
        """Pass entries that retention has deleted before they were published, and tell of them."""
        if self.position is None or not newest:
            return
        last = await journal.oldest_seq(self.source.database) - 1
        if self.position > newest:  # the journal was empty at a start, and its numbers began again at 1
            self.position = last
        elif last > self.position:
            first = self._gap[0] if self._gap else self.position + 1
            self._gap = first, last
            self.numbers.lost += last - self.position
            self.position = last
            self._ahead = {seq for seq in self._ahead if seq > last}
            await self._save()
            if not self._has_told_gap:
                await self._tell_gap()

    async def _tell_gap(self) -> None:
        """Tell of lost entries: of the first at once, and of the others of an outage once it is over."""
        if self._gap is None:
            return
        (first, last), self._gap = self._gap, None
        self._has_told_gap = True
        await self.source.work.report(
            ChangesLost(
                f"stream {self.target.name} lacks changes: retention deleted entries {first:,} to {last:,}"
                " of the journal before they were published",
                "have its consumers read the mirror again; [store] journal_keep and journal_max keep more",
            )
        )

    async def _linked(self, org_id: str) -> Link:
        if self._link is None or not self._link.is_open:
            await self._disconnect()
            self._link = await self.source.connect(self.target, org_id, self.source.objects)
        return self._link

    async def _documents(self, org_id: str, limit: int, newest: int) -> dict[Record, list[_Document]]:
        """Return the next page, by record and in order."""
        position = self.position or 0
        page = await self._changes.after(position, newest, self.page)
        lanes: dict[Record, list[_Document]] = {}
        size = 0
        for change in page:
            note, seq = change.entry.note, change.entry.seq
            body, is_cut = cloudevent.document(change, org_id, limit)
            if is_cut and seq not in self._ahead:
                self.numbers.cut += 1
                log.warning("document cut to fit", stream=self.target.name, seq=seq, limit=limit)
            size += len(body)
            on_wire = cloudevent.subject(org_id, note.object or "", note.op or "")
            lanes.setdefault(change.record, []).append(_Document(seq, on_wire, body))
        if size > PAGE_BYTES:
            self.page = max(self.page // 2, SMALLEST_PAGE)
        elif len(page) == self.page and size < PAGE_BYTES // 2:
            self.page = min(self.page * 2, LARGEST_PAGE)
        return lanes

    async def _publish(self, link: Link, org_id: str, lanes: dict[Record, list[_Document]]) -> None:
        """Publish a page. Raises PublishFailed after the rest has ended; what is acknowledged counts."""
        room, failures = asyncio.Semaphore(MOST_IN_FLIGHT), list[PublishFailed]()

        async def publish(lane: Sequence[_Document]) -> None:
            for document in lane:
                async with room:
                    if failures or document.seq in self._ahead:
                        continue
                    try:
                        await link.publish(
                            document.subject, cloudevent.message_id(org_id, document.seq), document.body
                        )
                    except PublishFailed as error:
                        failures.append(error)
                        return
                self._ahead.add(document.seq)
                self.numbers.published += 1

        try:
            await asyncio.gather(*map(publish, lanes.values()))
        finally:
            self._advance(document.seq for lane in lanes.values() for document in lane)
        if failures:
            raise failures[0]

    def _advance(self, page: Iterable[int]) -> None:
        """Move the position to the last change before which nothing waits."""
        for seq in sorted(page):
            if seq not in self._ahead:
                break
            self._ahead.remove(seq)
            self.position = seq
            self._has_news = True

    async def _save_if_due(self) -> None:
        wait = SAVE_EVERY_MS if self._has_news else SAVE_IDLE_MS
        if self.position != self._saved and self.source.now() - self._saved_at >= wait:
            await self._save()

    async def _save(self) -> None:
        if self.position is None or self.position == self._saved:
            return
        position = _Position(self.position, self.numbers.lost)
        async with self.source.database.transaction() as tx:
            await meta.put(tx, self.key, msgspec.json.encode(position).decode())
        self._saved, self._saved_at, self._has_news = position.acknowledged, self.source.now(), False

    async def _failed(self, error: PublishFailed) -> float:
        """Record a failure, told once until it is over; return the pause before the next try."""
        await self._disconnect()
        self.numbers.failures += 1
        self._retries += 1
        is_news = self.error is None
        self.error = error
        self.failing_since = self.failing_since or self.source.now()
        if is_news:
            await self.source.work.report(
                PublishFailed(f"stream {self.target.name}: {error.message}", error.do)
            )
        await self._save_if_due()
        return backoff.pause_ms(self._retries, RETRY_FIRST_MS, RETRY_MAX_MS) / 1000

    async def _succeeded(self) -> None:
        if self.failing_since is not None:
            waited = (self.source.now() - self.failing_since) // 1000
            log.info("stream publishes again", stream=self.target.name, after=plural(waited, "second"))
        await self._tell_gap()
        self._has_told_gap = False
        self.error, self.failing_since, self._retries = None, None, 0

    async def _disconnect(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            await link.close()

    async def lag(self) -> tuple[int, int]:
        """Return how far the stream is behind the journal: in entries, and in seconds."""
        database = self.source.database
        if self.position is None:
            return 0, 0
        waiting = await journal.unpublished_since(database, self.position)
        if waiting is None:
            return 0, 0
        newest = await journal.newest_seq(database)
        return max(newest - self.position, 0), max(self.source.now() - from_iso(waiting), 0) // 1000
