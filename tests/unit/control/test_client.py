"""The control client against a real HTTP server on a real Unix socket."""

from __future__ import annotations

import asyncio
import os
import socket as sockets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web

from rtsd import users
from rtsd.control import socket_connection as module
from rtsd.control.client import ControlClient, SocketForbidden, UnknownRoute, WrongProtocol, socket_path
from rtsd.control.protocol import Event, Frame, Lagged, Snapshot
from rtsd.errors import Conflict, DaemonUnreachable, NotFound, QuotaExhausted, RtsError

STATUS = b'{"version":"1","started_at":"2026-01-01T00:00:00.000Z","now":"2026-01-01T00:00:01.000Z","news":1}'


@pytest.fixture
def path() -> Iterator[Path]:
    """A path short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="rts") as directory:
        yield Path(directory) / "s"


@asynccontextmanager
async def serving(path: Path, *routes: web.RouteDef) -> AsyncIterator[ControlClient]:
    """A server with these routes, and a client of it."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        async with ControlClient(path, timeout_s=5) as client:
            yield client
    finally:
        await runner.cleanup()


def answering(body: bytes, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=body, status=status, content_type="application/json")


async def test_status_is_typed_and_ignores_what_it_does_not_know(path: Path) -> None:
    """Fields of a later daemon do not disturb an older client."""

    async def status(_: web.Request) -> web.Response:
        return answering(STATUS)

    async with serving(path, web.get("/v1/status", status)) as client:
        told = await client.status()
    assert told.version == "1"
    assert told.mode == "awaiting_package"


async def test_events_asks_for_its_page_and_types_it(path: Path) -> None:
    """One page of the journal is asked for with all its parameters."""
    asked: list[dict[str, str]] = []

    async def events(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        return answering(b'{"seq":8,"at":"t","type":"change"}\n{"seq":9,"at":"t","type":"mode"}\n')

    async with serving(path, web.get("/v1/events", events)) as client:
        found = await client.events(7, "Contact", 50)
    assert [event.seq for event in found] == [8, 9]
    assert asked == [{"after": "7", "object": "Contact", "limit": "50"}]


def feed(*chunks: bytes) -> web.RouteDef:
    """A followed feed that sends these chunks and ends."""

    async def follow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    return web.get("/v1/events", follow)


async def test_follow_yields_snapshot_events_and_lagged(path: Path) -> None:
    """A feed cut anywhere into chunks yields whole, typed lines."""
    wire = (
        b'{"type":"snapshot","status":' + STATUS + b"}\n"
        b'{"seq":5,"at":"t","type":"change","object":"Lead"}\n{"type":"lagged","after":5}\n'
    )
    chunks = [wire[at : at + 7] for at in range(0, len(wire), 7)]
    async with serving(path, feed(*chunks)) as client:
        lines = [line async for line in client.follow()]
    assert [type(line) for line in lines] == [Snapshot, Event, Lagged]


async def test_a_line_longer_than_any_buffer_is_read(path: Path) -> None:
    """A frame of megabytes is one line all the same."""
    long = b'{"type":"frame","seq":1,"counters":{},"skipped":0,'
    long += b'"rows":[{"seq":1,"at":"t","type":"error","message":"'
    async with serving(path, feed(long, b"x" * 3_000_000, b'"}]}\n')) as client:
        lines = [line async for line in client.frames()]
    frame = lines[0]
    assert isinstance(frame, Frame)
    assert len(frame.rows[0].message or "") == 3_000_000


@pytest.mark.parametrize("line", [b"<html>\n", b'{"seq":1}\n', b'{"type":"frame"}\n', b"\xff\xfe\n", b"[]\n"])
async def test_a_feed_of_something_else_is_the_wrong_protocol(path: Path, line: bytes) -> None:
    """What is not this protocol is refused in words, not with a decoder's traceback."""
    async with serving(path, feed(line)) as client:
        with pytest.raises(WrongProtocol, match="same version"):
            await anext(client.frames())


async def test_a_refusal_becomes_the_error_the_daemon_named(path: Path) -> None:
    """The class, the message and the status cross the wire."""
    answers = {
        "NotFound": (404, NotFound),
        "Conflict": (409, Conflict),
        "QuotaExhausted": (429, QuotaExhausted),
        "Unheard": (500, RtsError),
    }

    async def act(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return answering(
            b'{"error":"%s","message":"no %s"}' % (name.encode(), name.encode()), answers[name][0]
        )

    async with serving(path, web.post("/v1/objects/{name}/audit", act)) as client:
        for name, (status, kind) in answers.items():
            with pytest.raises(kind, match=f"no {name}") as caught:
                await client.start_audit(name)
            assert type(caught.value) is kind
            assert caught.value.http_status == status


async def test_a_question_the_daemon_has_never_heard_of_says_that_it_is_older(path: Path) -> None:
    """No route is not the same as no record: the one is an older daemon, the other an answer."""
    names = iter(["UsageError", "NotFound"])

    async def refuse(_: web.Request) -> web.Response:
        return answering(b'{"error":"%s","message":"none"}' % next(names).encode(), 404)

    async with serving(path, web.get("/v1/audits", refuse)) as client:
        with pytest.raises(UnknownRoute, match="older"):
            await client.audits()
        with pytest.raises(NotFound, match="none"):
            await client.audits()


async def test_commands_send_what_the_contract_says(path: Path) -> None:
    """Every command is the request of contract section 5; names are quoted into the path."""
    seen: list[tuple[str, str, object]] = []

    async def act(request: web.Request) -> web.Response:
        seen.append(
            (request.method, request.raw_path, await request.json() if request.can_read_body else None)
        )
        return answering(b"{}")

    async with serving(path, web.route("*", "/{rest:.*}", act)) as client:
        await client.pause(["Contact"])
        await client.resume()
        await client.retry(3)
        await client.retry(5, wait=True)
        await client.drop(4)
        await client.audit("a/b", full=True)
        await client.price_audit("Lead")
        await client.repair("Lead", ["00Q1"])
        await client.set_conditions("Lead", ["Email"])
        await client.query("SELECT 1")
        await client.record_at("Lead", "00Q1", "2026-01-01T00:00:00Z")
    assert seen == [
        ("POST", "/v1/pause", {"objects": ["Contact"]}),
        ("POST", "/v1/resume", {"objects": []}),
        ("POST", "/v1/dead-letters/3/retry", None),
        ("POST", "/v1/dead-letters/5/retry?wait=1", None),
        ("POST", "/v1/dead-letters/4/drop", None),
        ("POST", "/v1/objects/a%2Fb/audit?wait=1", {"full": True, "dry_run": False}),
        ("POST", "/v1/objects/Lead/audit", {"full": False, "dry_run": True}),
        ("POST", "/v1/objects/Lead/repair", {"ids": ["00Q1"]}),
        ("PUT", "/v1/objects/Lead/conditions", {"fields": ["Email"]}),
        ("POST", "/v1/query", {"sql": "SELECT 1"}),
        ("GET", "/v1/objects/Lead/records/00Q1/history?at=2026-01-01T00:00:00Z", None),
    ]


async def test_no_socket_says_how_to_start_the_daemon(path: Path) -> None:
    """A missing socket names itself and the command."""
    async with ControlClient(path) as client:
        with pytest.raises(DaemonUnreachable, match=r"does not exist.*rtsd run"):
            await client.status()


async def test_a_socket_nobody_listens_on_is_a_daemon_that_is_not_running(path: Path) -> None:
    """The file a killed daemon leaves behind is not mistaken for a daemon."""
    with sockets.socket(sockets.AF_UNIX) as left:
        left.bind(str(path))
    async with ControlClient(path) as client:
        with pytest.raises(DaemonUnreachable, match="not running"):
            await client.status()


async def test_a_daemon_that_hangs_is_given_up(path: Path) -> None:
    """An answer that does not come ends in words within the time given."""

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(path, web.get("/v1/status", hang)), ControlClient(path, timeout_s=0.05) as client:
        with pytest.raises(DaemonUnreachable, match=r"did not answer in 0\.05 s"):
            await client.status()


@contextmanager
def locked(path: Path, mode: int = 0o755) -> Iterator[None]:
    """A listening socket that this process has no right to, even where the tests run as root.

    `mode` is of its directory.
    """
    user = os.geteuid()
    with sockets.socket(sockets.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        path.parent.chmod(mode)
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)
            path.parent.chmod(0o755)


async def test_a_locked_socket_says_how_to_be_let_in(path: Path) -> None:
    """Who has no right to the socket is told what to do, not that there is no daemon."""
    with locked(path):
        async with ControlClient(path) as client:
            with pytest.raises(SocketForbidden, match="No permission"):
                await client.status()


@pytest.mark.parametrize(
    ("groups", "do"),
    [
        ("a:x:1:\nstaff:x:{gid}:\n", r"`sudo usermod -aG staff \S+`, then log in again"),
        ("a:x:1:\n", r"docs/install\.md, Who may use rtsd's commands"),  # such as that of DynamicUser=
        ("root:x:{gid}:\n", "Only root may"),
    ],
)
@pytest.mark.parametrize("mode", [0o755, 0o000])
async def test_only_a_group_that_can_be_joined_is_advised(
    groups: str, do: str, mode: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`usermod` changes nothing, and says nothing, about a group that /etc/group lacks."""
    gid = path.parent.stat().st_gid
    monkeypatch.setattr(users, "GROUPS", SimpleNamespace(read_text=lambda: groups.format(gid=gid)))
    with locked(path, mode):
        async with ControlClient(path) as client:
            with pytest.raises(SocketForbidden, match=do):
                await client.status()


async def test_a_connection_reset_midway_is_unreachable(path: Path) -> None:
    """A daemon killed in the middle of an answer is a lost daemon, not a crash."""

    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(cut, str(path))
    async with server, ControlClient(path) as client:
        with pytest.raises(DaemonUnreachable, match="closed the connection"):
            await client.status()


def test_the_socket_is_the_option_the_variable_or_the_first_that_exists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--socket, $RTSD_SOCKET, the service's socket, the user's own; one without access last."""
    service, runtime = tmp_path / "service.sock", tmp_path / "run"
    own = runtime / "rtsd" / "rtsd.sock"
    monkeypatch.setattr(module, "SYSTEM_SOCKET", service)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RTSD_SOCKET", raising=False)
    assert socket_path() == service
    kept = tmp_path / "state" / "rtsd" / "rtsd.sock"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert socket_path() == kept
    monkeypatch.setattr(module, "SYSTEM_SOCKET", tmp_path / ("x" * 300))  # nobody can see whether it is there
    assert socket_path() == kept
    kept.unlink()
    assert socket_path() == tmp_path / ("x" * 300)
    monkeypatch.setattr(module, "SYSTEM_SOCKET", service)
    own.parent.mkdir(parents=True)
    own.touch()
    assert socket_path() == own
    service.touch()
    assert socket_path() == service
    monkeypatch.setenv("RTSD_SOCKET", str(tmp_path / "named"))
    assert socket_path() == tmp_path / "named"
    assert socket_path(tmp_path / "option") == tmp_path / "option"
