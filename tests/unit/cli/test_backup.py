"""`rtsd backup` when what comes is not what it should be: nothing takes the file's name."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rtsd.store.sqlite.files import MIRROR

Rtsd = Callable[..., Any]


LATEST = MIRROR.migrations.latest


def mirror(path: Path, *, application: int = MIRROR.application_id, version: int = LATEST) -> bytes:
    """Return the bytes of a database."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(f"PRAGMA application_id={application}; PRAGMA user_version={version}")
        database.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(20000))")
    return path.read_bytes()


def answer(body: bytes, of: bytes | None = None) -> web.Response:
    """What a daemon sends: `body`, with the digest of another one where `of` is given."""
    digest = base64.b64encode(hashlib.sha256(body if of is None else of).digest()).decode()
    return web.Response(
        body=body,
        headers={"Repr-Digest": f"sha-256=:{digest}:", "Rtsd-Taken-At": "2026-03-01T10:00:00.000Z"},
    )


def test_a_whole_copy_gets_its_name(rtsd: Rtsd, daemon: Any, tmp_path: Path) -> None:
    """It is for its owner alone, and says as of when it is."""
    file = tmp_path / "copy.db"
    whole = mirror(tmp_path / "source")
    daemon.answers["POST /v1/backup"] = answer(whole)
    status, out, _ = rtsd("backup", str(file))
    assert status == 0
    assert "2026-03-01T10:00:00.000Z" in out
    assert file.read_bytes() == whole
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("fault", ["changed", "foreign", "newer", "damaged"])
def test_nothing_else_does(fault: str, rtsd: Rtsd, daemon: Any, tmp_path: Path) -> None:
    """Bytes that were changed on the way, another program's file, a damaged one: refused, and removed."""
    file = tmp_path / "home" / "copy.db"
    file.parent.mkdir()
    whole = mirror(tmp_path / "source")
    daemon.answers["POST /v1/backup"] = {
        "changed": lambda: answer(whole[:-1] + b"x", of=whole),
        "foreign": lambda: answer(mirror(tmp_path / "foreign", application=0)),
        "newer": lambda: answer(mirror(tmp_path / "newer", version=LATEST + 1)),
        "damaged": lambda: answer(whole[:4096] + b"\xff" * 4096 + whole[8192:]),
    }[fault]()
    file.write_bytes(b"the one before")
    status, out, err = rtsd("backup", str(file), "--force")
    assert (status, out) == (1, "")
    assert 1 <= len(err.splitlines()) <= 2
    assert [path.name for path in file.parent.iterdir()] == ["copy.db"]
    assert file.read_bytes() == b"the one before"
