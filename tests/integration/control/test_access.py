"""Who may use the control socket, and what leaves it when rtsd itself fails."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from contextlib import closing
from pathlib import Path

import pytest

from rtsd.control.access import require_free
from rtsd.control.known_status import KnownStatus
from rtsd.errors import AddressInUse
from tests.support.inprocess.control import NOBODY, Socket, ask_as, open_to_all

LOOK = b"GET /v1/status HTTP/1.1\r\nHost: rtsd\r\nConnection: close\r\n\r\n"


def test_a_place_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    """A closed directory, a name that is too long: said before anything is bound, and no bug."""
    path = tmp_path / ("s" * 300)
    with pytest.raises(AddressInUse, match=r"cannot listen on .*: File name too long"):
        require_free(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
async def test_a_lax_mode_lets_nobody_in(socket: Socket) -> None:
    """Charter 37: with 0666 the kernel lets everybody connect, and rtsd still asks who it is."""
    with open_to_all(socket.rig.place / "rtsd.sock") as path:
        refused = await ask_as(path, LOOK, group=NOBODY)
        assert refused.startswith(b"HTTP/1.1 403")
        assert b'"error":"Forbidden"' in refused
        assert b"quota" not in refused
        member = await ask_as(path, LOOK)
        assert member.startswith(b"HTTP/1.1 200")


async def test_a_bug_is_told_without_what_it_was_about(
    socket: Socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is an InternalError with its place; its text may be somebody's data."""

    async def fails(_self: KnownStatus) -> None:
        raise KeyError("Canary Person, +49 151 123456")

    monkeypatch.setattr(KnownStatus, "get", fails)
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


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"GET /v1/status\r\n\r\n",
        b"GET / HTTP/1.1\r\nA b\r\n\r\n",
        b"\x16\x03\x01\x02\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_in_the_same_form(socket: Socket, sent: bytes) -> None:
    """Contract section 5: every error is JSON with `error` and `message`, also of bytes that are no HTTP."""
    reader, writer = await asyncio.open_unix_connection(socket.rig.place / "rtsd.sock")
    with closing(writer):
        writer.write(sent)
        head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    assert b" 400 " in head.partition(b"\r\n")[0]
    assert json.loads(body) == {"error": "UsageError", "message": "this is not an HTTP/1.1 request"}


async def test_a_client_that_hangs_up_is_no_bug(socket: Socket, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever follows the feed, or asked for much, may leave in the middle of the answer."""
    for path in ("/v1/events?follow=1", "/v1/events?limit=100000", "/v1/backup"):
        for _ in range(5):
            _, writer = await asyncio.open_unix_connection(socket.rig.place / "rtsd.sock")
            method = b"POST" if path == "/v1/backup" else b"GET"
            writer.write(method + b" " + path.encode() + b" HTTP/1.1\r\nHost: rtsd\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.transport.abort()
    await asyncio.sleep(0.2)
    assert (await socket.ask("GET", "/v1/status"))[0] == 200
    assert "bug" not in "".join(capsys.readouterr())


async def test_an_id_whose_checksum_is_wrong_is_refused(socket: Socket) -> None:
    """A mistyped id would name another record, or none: the answer says what is wrong."""
    record = await socket.rig.a_record("Contact")
    other = record[:-1] + ("A" if record[-1] != "A" else "B")
    for path in ("", "/why?org=0", "/history"):
        status, body = await socket.ask("GET", f"/v1/objects/Contact/records/{other}{path}")
        assert (status, body["error"]) == (400, "UsageError")
        assert "last three characters" in body["message"]
    status, body = await socket.ask("POST", "/v1/objects/Contact/repair", {"ids": [other]})
    assert (status, body["error"]) == (400, "UsageError")
    assert (await socket.ask("GET", f"/v1/objects/Contact/records/{record[:15]}"))[0] == 200
