"""Bad input of every kind: one clear error, its exit status, and nothing touched."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import socket
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.processes.rig import Rig, free_port, standing

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHIN_S = 15.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    """An org, and a home whose daemon never gets to run."""
    async with standing({"Lead": 5}) as made:
        yield made


@pytest.fixture(autouse=True)
def _fresh(rig: Rig) -> None:
    """Every case begins with a right configuration and without a mirror."""
    rig.state.chmod(0o700)
    for path in rig.state.iterdir():
        path.unlink()
    rig.log.unlink(missing_ok=True)
    rig.socket.unlink(missing_ok=True)
    rig.write_config()


async def ending(rig: Rig, *wrapper: str) -> tuple[int, str]:
    """Run the daemon to its end, and return its exit status and what it wrote to stderr."""
    daemon = await rig.launch(*wrapper)
    try:
        async with asyncio.timeout(WITHIN_S):
            return await daemon.process.wait(), rig.log.read_text()
    finally:
        await daemon.kill()


async def refused(rig: Rig, status: int, *, says: str, lines: int = 2) -> str:
    """Run the daemon, which has to end with `status`, `says` on stderr and no more than so many lines."""
    ended, text = await ending(rig)
    assert ended == status, text
    assert says in text
    assert "Traceback" not in text
    told = [line for line in text.splitlines() if not line.startswith("{")]
    assert 1 <= len(told) <= lines, text
    return text


def contents(directory: Path) -> dict[str, str]:
    """Return a digest of every file, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


async def test_configuration_mistakes_are_told_at_once(rig: Rig) -> None:
    """Every mistake is named with its key in one go, exit status 2; no state is made."""
    text = rig.config.read_text()
    rig.config.write_text(text + '[quota]\nreserve = "a lot"\n[qouta]\nx = 1\n')
    told = await refused(rig, 2, says="quota.reserve", lines=4)
    assert "qouta" in told
    assert contents(rig.state) == {}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda text: text.replace("[org]", "[org"), "rtsd.toml"),
        (lambda text: text.replace('"sf-secret"', '"no-such-file"'), "no-such-file"),
        (lambda text: text.replace("login_url", "login_uri"), "login_ur"),
    ],
)
async def test_unusable_configuration(rig: Rig, broken: Callable[[str], str], says: str) -> None:
    """Broken TOML, a secret that is not there, an unknown key: exit status 2, naming it."""
    rig.config.write_text(broken(rig.config.read_text()))
    await refused(rig, 2, says=says, lines=4)
    assert contents(rig.state) == {}


async def test_missing_configuration(rig: Rig) -> None:
    """No file where one was named: exit status 2."""
    rig.config.unlink()
    await refused(rig, 2, says="rtsd.toml")


async def test_secret_readable_by_others(rig: Rig) -> None:
    """A secret that others can read is refused, in a closed directory too, and is not told."""
    secret = rig.place / "sf-secret"
    secret.chmod(0o644)
    try:
        await refused(rig, 2, says="sf-secret")
    finally:
        secret.chmod(0o600)


async def test_wrong_secret(rig: Rig) -> None:
    """Salesforce refuses the login: exit status 1, no mirror is made."""
    rig.secret("sf-secret", "wrong")
    await refused(rig, 1, says="client_secret")
    assert contents(rig.state) == {}


async def test_unreachable_org(rig: Rig) -> None:
    """Nobody answers at login_url on a first start: exit status 1, no mirror is made."""
    rig.write_config(login_url=f"http://127.0.0.1:{free_port()}")
    told = await refused(rig, 1, says="127.0.0.1")
    assert "Connection refused" in told
    assert "Max retries" not in told
    assert contents(rig.state) == {}


async def test_gateway_port_in_use(rig: Rig) -> None:
    """Somebody listens on the gateway's port already: exit status 1."""
    with socket.create_server(("127.0.0.1", rig.port)):
        await refused(rig, 1, says=str(rig.port))


async def test_control_socket_in_use(rig: Rig) -> None:
    """Somebody answers on the control socket already: exit status 1, and their socket stays."""
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(rig.socket))
        taken.listen()
        await refused(rig, 1, says=rig.socket.name)
        assert stat.S_ISSOCK(rig.socket.stat().st_mode)
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(rig.socket))


async def test_a_taken_control_socket_costs_no_call(rig: Rig) -> None:
    """A second rtsd with a mirror of its own is refused before its first login."""
    before = await rig.org.stats()
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(rig.socket))
        taken.listen()
        await refused(rig, 1, says=rig.socket.name)
    after = await rig.org.stats()
    assert (after["calls"], after.get("logins")) == (before["calls"], before.get("logins"))
    assert contents(rig.state) == {}


async def test_control_socket_is_a_file(rig: Rig) -> None:
    """A file of somebody else's in the socket's place is not removed."""
    rig.socket.write_text("mine")
    await refused(rig, 1, says=rig.socket.name)
    assert rig.socket.read_text() == "mine"


async def test_missing_state_directory(rig: Rig) -> None:
    """The mirror's directory is not there: exit status 1."""
    rig.write_config(path=str(rig.place / "nowhere" / "mirror.db"))
    await refused(rig, 1, says="nowhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="root has to run the daemon as somebody else")
async def test_read_only_directory(rig: Rig) -> None:
    """A directory that may not be written: exit status 1, and it stays empty."""
    user = pwd.getpwnam("nobody")
    for path in (rig.place, rig.config, rig.place / "sf-secret", rig.place / "push-token"):
        os.chown(path, user.pw_uid, user.pw_gid)
    rig.log.touch()
    rig.state.chmod(0o755)  # root's own
    somebody = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    status, text = await ending(rig, *somebody)
    if "Permission denied" in text and "python" in text:
        pytest.skip("the interpreter is where other users may not go")
    assert status == 1, text
    assert "not writable" in text
    assert contents(rig.state) == {}


async def test_foreign_database(rig: Rig) -> None:
    """A database that rtsd did not make: exit status 1, and not a byte of it changes."""
    with closing(sqlite3.connect(rig.mirror)) as database:
        database.executescript("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)")
    rig.mirror.chmod(0o600)
    before = contents(rig.state)
    await refused(rig, 1, says="another program")
    assert contents(rig.state).items() >= before.items()


async def test_no_database(rig: Rig) -> None:
    """A file that is no database at all: exit status 1, and not a byte of it changes."""
    rig.mirror.write_bytes(b"My precious notes, which are no database.\n" * 200)
    rig.mirror.chmod(0o600)
    before = contents(rig.state)
    await refused(rig, 1, says="mirror.db")
    assert contents(rig.state).items() >= before.items()


async def test_newer_database(rig: Rig) -> None:
    """A mirror of a later rtsd: exit status 1, and not a byte of it changes."""
    with closing(sqlite3.connect(rig.mirror)) as database:
        database.executescript(
            "PRAGMA application_id=0x52545344; PRAGMA user_version=9999; CREATE TABLE a (b)"
        )
    rig.mirror.chmod(0o600)
    before = contents(rig.state)
    await refused(rig, 1, says="newer")
    assert contents(rig.state).items() >= before.items()


async def test_second_instance(rig: Rig) -> None:
    """A second daemon on the same state ends with 75 at once; the first one does not notice."""
    first = await rig.start()
    await first.live()
    before = rig.mirror.stat().st_ino, rig.socket.stat().st_ino
    rig.write_config(listen="127.0.0.1:0")
    status, text = await ending(rig)
    assert status == 75
    (told,) = [line for line in text.splitlines() if line.startswith("rtsd:")]
    assert "another rtsd is using" in told
    assert (rig.mirror.stat().st_ino, rig.socket.stat().st_ino) == before
    assert (await first.status()).objects[0].state == "live"
    assert await first.terminate() == 0


async def test_another_org(rig: Rig) -> None:
    """A mirror never changes its org: exit status 1; only the ledger tells of the calls it took to know."""
    first = await rig.start()
    await first.live()
    assert await first.terminate() == 0
    rig.log.unlink()
    tables = ("Lead", "_rts_object", "_rts_meta", "_rts_journal", "_rts_held")
    before = [rig.read(f"SELECT * FROM {table}") for table in tables]
    mine = rig.org.info["org_id"]
    await rig.org.control("org", {"org_id": "00DQx0000000002EAA"})
    try:
        await refused(rig, 1, says=mine, lines=3)
    finally:
        await rig.org.control("org", {"org_id": mine})
    assert [rig.read(f"SELECT * FROM {table}") for table in tables] == before
