"""The lease: of the nodes that share a database, one leads.

A node is alive while it renews its row, on the database's clock. The leader's transactions share a lock on
the lease and name its epoch; a take-over needs that lock alone and increments the epoch. So the transactions
of two leaders never overlap, and a leader that was frozen cannot write a row once another has taken over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import msgspec
import psycopg
import structlog

from rtsd.errors import AnotherInstance, LeaseLost
from rtsd.store.database import Database, Row
from rtsd.store.engine import Lease, Node, Refused
from rtsd.store.postgres.errors import BROKEN, first_line, store_error
from rtsd.store.postgres.server import Link, Server, rows
from rtsd.store.postgres.sql import Translation

log = structlog.get_logger("rtsd.store")

RENEW_EVERY_S = 0.8
"""Seconds between renewals, which also notice a database that is away."""
DEAD_AFTER_S = 8
"""Seconds without a renewal after which another node may lead."""
SAME_NAME_S = 3.0
"""Seconds in which a node that is alive renews its row."""

_ALIVE = f"seen_at > clock_timestamp() - interval '{DEAD_AFTER_S} s'"
_LEADER = (
    f"EXISTS (SELECT 1 FROM _rts_node AS n WHERE n.name=l.node AND n.instance=l.instance AND n.{_ALIVE})"
)
_TAKEABLE = f"(l.instance IS NOT DISTINCT FROM ?1 OR NOT {_LEADER})"
"""Also by its own holder: if the connection broke before the answer to a take-over came, it does not know."""
_FREE = f"SELECT l.node, {_TAKEABLE} FROM _rts_lease AS l"
_TAKE = (
    "UPDATE _rts_lease AS l SET epoch = epoch + 1, instance=?1, node=?2, since=clock_timestamp()"
    f" WHERE {_TAKEABLE} RETURNING epoch, since"
)
_END_LAST = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = (SELECT tableoid FROM _rts_lease)"
    " AND mode = 'RowShareLock' AND granted AND pid <> pg_backend_pid()"
)
"""Ends the transactions of a leader that is dead for the lease. The idle-in-transaction time-out does not end
one that was frozen within a pipeline, as the server then still waits for the rest of a command."""
_NODES = (
    "SELECT n.name, COALESCE(l.instance = n.instance, false), l.epoch, l.since, n.started_at, n.seen_at,"
    " n.settings, n.refused"
    f" FROM _rts_node AS n LEFT JOIN _rts_lease AS l ON l.node = n.name WHERE n.{_ALIVE} ORDER BY n.name"
)


class RowLease(Lease):
    """Takes the lease, and renews it as a service."""

    name = "lease"

    def __init__(self, server: Server, internal_schema: str, node: str, settings: Mapping[str, str]) -> None:
        super().__init__()
        self._server = server
        self._translate = Translation(internal_schema).translate
        self._node = node
        self._settings = msgspec.json.encode(settings).decode()
        self._instance = ""
        """This run of the node."""
        self._link = Link(server, application="rtsd lease")
        self._watched: tuple[Database, ...] = ()
        self._is_away = False
        self.epoch = 0
        self.since = ""
        """When this node began to lead (ISO, UTC)."""

    @property
    def guard(self) -> str:
        """The query, in a transaction, that finds the lease and keeps others from taking it over."""
        return f"SELECT 1 FROM _rts_lease WHERE epoch = {self.epoch} FOR SHARE"

    @property
    def node(self) -> Node:
        """This node, which leads once it has an epoch."""
        return Node(self._node, leader=self.epoch > 0, epoch=self.epoch or None, since=self.since)

    def watch(self, *databases: Database) -> None:
        """Have a failed renewal count as a failed write of these, so that health shows it."""
        self._watched = databases

    async def join(self) -> bool:
        """Register this node, unless it has joined; return whether it leads.

        Raises AnotherInstance if a node with this name is alive, and StoreError.
        """
        if not self._instance:
            try:
                await self._register()
            except psycopg.Error as error:
                raise store_error(error, self._server.name) from error
        return self.epoch > 0 or await self._leads()

    async def acquire(self) -> None:
        """Wait until this node, which has joined, leads, whether the database is there or not."""
        said = None
        while not await self._leads():
            if self.leader != said:
                log.info("standing by", node=self._node, leader=self.leader)
                said = self.leader
            await asyncio.sleep(RENEW_EVERY_S)

    async def step(self) -> float:
        """Renew the lease. Raises LeaseLost once another node leads."""
        try:
            await self._renew()
        except psycopg.Error as error:
            for database in self._watched:
                database.failure = database.failure or first_line(error)
        return RENEW_EVERY_S

    async def nodes(self) -> list[Node]:
        """Return the nodes that are alive. Raises StoreError."""
        try:
            rows = await self._run(_NODES)
        except psycopg.Error as error:
            raise store_error(error, self._server.name) from error
        leaders = [_settings(settings) for _, leads, *_, settings, _ in rows if leads]
        return [
            Node(
                str(name),
                leader=bool(leads),
                epoch=int(str(epoch)) if leads else None,
                since=str(since if leads else started_at),
                seen_at=str(seen_at),
                differs=_differences(_settings(settings), leaders[0]) if leaders else (),
                refused=msgspec.json.decode(str(refused), type=Refused),
            )
            for name, leads, epoch, since, started_at, seen_at, settings, refused in rows
        ]

    async def release(self) -> None:
        """Give the lease back, so that another node takes over at once."""
        with suppress(psycopg.Error):
            await self._run(
                "UPDATE _rts_lease SET instance=NULL WHERE epoch=? AND instance=?",
                self.epoch,
                self._instance,
            )
            await self._run("DELETE FROM _rts_node WHERE name=? AND instance=?", self._node, self._instance)
        await self._link.close()

    async def _register(self) -> None:
        look = f"SELECT instance, seen_at FROM _rts_node WHERE name=? AND {_ALIVE}"
        before = await self._run(look, self._node)
        if before:
            await asyncio.sleep(SAME_NAME_S)
            if await self._run(look, self._node) not in ([], before):
                raise AnotherInstance(
                    f"a node named {self._node} is running already on {self._server.name}",
                    "stop it, or give each its own [node] name",
                )
        ((instance,),) = await self._run("SELECT gen_random_uuid()::text")
        self._instance = str(instance)
        await self._run(
            "INSERT INTO _rts_node (name, instance, started_at, seen_at, settings)"
            " VALUES (?1, ?2, clock_timestamp(), clock_timestamp(), ?3) ON CONFLICT (name) DO UPDATE"
            " SET instance=excluded.instance, started_at=excluded.started_at, seen_at=excluded.seen_at,"
            " settings=excluded.settings",
            self._node,
            self._instance,
            self._settings,
        )

    async def _leads(self) -> bool:
        """Renew the node, and take the lease if nobody has it; return whether this node leads."""
        try:
            await self._renew()
            leader = await self._take()
        except BROKEN as error:
            if not self._is_away:
                log.warning("the database is away", node=self._node, reason=first_line(error))
            self._is_away, self.leader = True, ""
            return False
        self._is_away = False
        self.leader = self._node if leader is None else leader
        if leader is None:
            log.info("leading", node=self._node, epoch=self.epoch)
        return leader is None

    async def _take(self) -> str | None:
        """Take the lease if nobody has it; else return who leads."""
        found = await self._run(_FREE, self._instance)
        if not found:
            await self._run(
                "INSERT INTO _rts_lease (epoch, node, since) VALUES (0, '', clock_timestamp())"
                " ON CONFLICT DO NOTHING"
            )
            return await self._take()
        ((leader, is_free),) = found
        if not is_free:
            return str(leader)
        await self._run(_END_LAST)
        taken = await self._run(_TAKE, self._instance, self._node)
        if not taken:
            return str(leader)
        ((epoch, since),) = taken
        self.epoch, self.since = int(str(epoch)), str(since)
        return None

    async def _renew(self) -> None:
        renewed = await self._run(
            "UPDATE _rts_node SET seen_at=clock_timestamp(), refused=? WHERE name=? AND instance=?"
            f" RETURNING EXISTS (SELECT 1 FROM _rts_node AS n WHERE n.name <> _rts_node.name AND n.{_ALIVE})",
            msgspec.json.encode(self.refused()).decode(),
            self._node,
            self._instance,
        )
        lost = self.epoch and not await self._run(
            "SELECT 1 FROM _rts_lease WHERE epoch=? AND instance=?", self.epoch, self._instance
        )
        if lost or not renewed:
            raise LeaseLost(
                f"another node leads on {self._server.name} now", "rtsd starts again, and stands by"
            )
        self.has_others = bool(renewed[0][0])

    async def _run(self, sql: str, *parameters: object) -> list[Row]:
        translated = self._translate(sql)
        return await self._link.use(lambda connection: rows(connection, translated, parameters))


def _settings(text: object) -> dict[str, str]:
    return msgspec.json.decode(str(text), type=dict[str, str])


def _differences(own: Mapping[str, str], leaders: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts of the configuration that are not the leader's."""
    return tuple(sorted(name for name in own.keys() | leaders.keys() if own.get(name) != leaders.get(name)))
