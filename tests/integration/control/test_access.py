"""Who may use the control socket, and what leaves it when rtsd itself fails."""

from __future__ import annotations

import asyncio
import logging
import os
import socket as sockets
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rtsd.control.views import Views
from tests.support.inprocess.control import Socket

NOBODY = 65_534


async def ask_as(path: Path, *, group: int) -> bytes:
    """Ask for the status as user nobody of a group; the kernel notes at connect() who that is."""
    connection = sockets.socket(sockets.AF_UNIX)
    os.setegid(group)
    os.seteuid(NOBODY)
    try:
        connection.connect(str(path))
    finally:
        os.seteuid(0)
        os.setegid(0)
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    with closing(writer):
        writer.write(b"GET /v1/status HTTP/1.1\r\nHost: rtsd\r\nConnection: close\r\n\r\n")
        return await reader.read()


@contextmanager
def open_to_all(path: Path) -> Iterator[Path]:
    """The same socket where everybody may go, with a mode that lets everybody connect."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        found = Path(directory) / "socket"
        os.link(path, found)
        found.chmod(0o666)
        yield found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_a_lax_mode_lets_nobody_in(socket: Socket) -> None:
    """Charter 37: with 0666 the kernel lets everybody connect, and rtsd still asks who it is."""
    with open_to_all(socket.rig.place / "rtsd.sock") as path:
        refused = await ask_as(path, group=NOBODY)
        assert refused.startswith(b"HTTP/1.1 403")
        assert b'"error":"Forbidden"' in refused
        assert b"quota" not in refused
        member = await ask_as(path, group=0)
        assert member.startswith(b"HTTP/1.1 200")


async def test_a_bug_is_told_without_what_it_was_about(
    socket: Socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is an InternalError with its place; its text may be somebody's data."""

    async def fails(_self: Views) -> None:
        raise KeyError("Canary Person, +49 151 123456")

    monkeypatch.setattr(Views, "status", fails)
    with caplog.at_level(logging.DEBUG):
        status, answer = await socket.ask("GET", "/v1/status")
    assert (status, answer["error"]) == (500, "InternalError")
    assert "test_access.py" in answer["message"]
    assert "KeyError" in answer["message"]
    assert "Canary" not in str(answer) + caplog.text
    assert "Traceback" not in str(answer)
    monkeypatch.undo()
    assert (await socket.ask("GET", "/v1/status"))[0] == 200


async def test_noise_on_the_socket_is_not_logged(socket: Socket, caplog: pytest.LogCaptureFixture) -> None:
    """What is no HTTP is refused, and no byte of it reaches a log."""
    with caplog.at_level(logging.DEBUG):
        reader, writer = await asyncio.open_unix_connection(socket.rig.place / "rtsd.sock")
        with closing(writer):
            writer.write(b"CANARY \x1b]0;x\x07 canary\r\n\r\n")
            assert b"400" in (await reader.readline())
    assert "anary" not in caplog.text.lower()
