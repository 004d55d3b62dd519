"""`rtsd init` by a person at a terminal, and unattended: each ends with a live mirror."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rtssim.process import SimulatedOrg, spawn
from tests.support.dashboard.terminal import Terminal, terminal
from tests.support.processes.command import rtsd
from tests.support.processes.daemon import Daemon
from tests.support.salesforce.sf import Sf
from tests.support.waiting import eventually

RECORDS = {"Contact": 120, "Lead": 40}


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for everything; short, as a socket's path has room for 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="rts") as directory:
        yield Path(directory)


@pytest.fixture
async def org() -> AsyncIterator[SimulatedOrg]:
    """An org with the Pub/Sub API, too."""
    async with spawn(records=RECORDS, options=("--pubsub",)) as spawned:
        yield spawned


@pytest.fixture(autouse=True)
def places(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own directories, in which nothing is yet, and no Salesforce CLI."""
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(home / name.lower()))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


class Person:
    """Answers prompts as they appear."""

    def __init__(self, seen: Terminal) -> None:
        self.seen = seen
        self._read = 0

    async def answers(self, prompt: str, text: str) -> None:
        """Wait for a prompt after the last answer, and type."""
        await self.sees(prompt)
        self._read = len(self.seen.output)
        self.seen.press(f"{text}\n".encode())

    async def sees(self, text: str) -> None:
        """Wait until something new is on the screen."""
        await eventually(lambda: text.encode() in self.seen.output[self._read :], f"{text!r} is shown")


async def live(config: Path, home: Path) -> set[str]:
    """Run the daemon by a configuration until every object is live; return their names."""
    log = home / "stderr"
    daemon = await Daemon.launch(config, home / "runtime_dir" / "rtsd" / "rtsd.sock", log)
    try:
        await daemon.ready()
        return {mirrored.name for mirrored in (await daemon.live()).objects}
    finally:
        await daemon.terminate()


async def test_a_person_is_led_to_a_live_mirror(org: SimulatedOrg, home: Path) -> None:
    """Mistakes are explained and asked for again; what is written passes the check, and runs."""
    config = home / "rtsd.toml"
    info = org.info
    async with terminal("init", "-c", str(config), program="rtsd") as seen:
        person = Person(seen)
        await person.answers("Address", "?")
        await person.sees("Setup, My Domain")
        await person.answers("Address", "http://127.0.0.1:1")
        await person.sees("Connection refused")
        await person.answers("Address", org.url)
        await person.answers("Login [client_credentials]", "1")
        await person.answers("Consumer key", info["client_id"])
        await person.answers("Consumer secret", "a wrong secret")
        await person.sees("Check the consumer key and the consumer secret")
        await person.answers("Login", "")
        await person.answers("Consumer key", "")
        await person.answers("Consumer secret", info["client_secret"])
        await person.sees(f"{info['username']} in Acme")
        await person.answers("Objects", "Contct, lead")
        await person.sees("Did you mean Contact?")
        await person.answers("Objects [Contact lead]", "")
        await person.sees("Contact: 120 rows")
        await person.answers("Channel", "none")
        await person.answers("Store", "/dev/null/mirror.db")
        await person.sees("cannot be created")
        await person.answers("Store", "")
        await person.sees("API calls.")
        assert await seen.ended(30) == 0
    written = seen.output.decode()
    assert info["client_secret"] not in written
    assert "a wrong secret" not in written
    assert stat.S_IMODE((home / "sf-secret").stat().st_mode) == 0o600
    assert info["client_secret"] not in config.read_text()
    checked = await rtsd("check", "-c", config)
    assert (checked.status, checked.err) == (0, "")
    assert await live(config, home) == {"Contact", "Lead"}


async def test_ctrl_c_leaves_nothing(org: SimulatedOrg, home: Path) -> None:
    """At the third question: no file, and the status of an interrupt."""
    before = os.listdir(home)  # noqa: PTH208 - a Path may not be asked in a coroutine
    async with terminal("init", "-c", str(home / "etc" / "rtsd.toml"), program="rtsd") as seen:
        person = Person(seen)
        await person.answers("Address", org.url)
        await person.answers("Login", "client_credentials")
        await person.answers("Consumer key", org.info["client_id"])
        await person.answers("Consumer secret", org.info["client_secret"])
        await person.sees("Objects [")
        while seen.process.poll() is None:  # the first may come while readline takes the terminal
            seen.process.send_signal(signal.SIGINT)
            with contextlib.suppress(AssertionError):
                await seen.ended(seconds=2)
        assert seen.process.returncode == 130
    assert b"Nothing was written." in seen.output
    assert os.listdir(home) == before  # noqa: PTH208 - the same


async def test_the_login_of_salesforce_cli_is_found(
    org: SimulatedOrg, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has `sf` logged in presses Enter twice: address and login are known."""
    sf, info, config = Sf(home / "sf"), org.info, home / "rtsd.toml"
    form = {"grant_type": "client_credentials"} | {key: info[key] for key in ("client_id", "client_secret")}
    async with org.http.post(f"{org.url}/services/oauth2/token", data=form) as answer:
        token = (await answer.json())["access_token"]
    sf.logged_in("acme", info["username"], org.url, org_id=info["org_id"], token=token)
    monkeypatch.setenv("PATH", f"{sf.bin}:/usr/bin:/bin")
    async with terminal("init", "-c", str(config), program="rtsd") as seen:
        person = Person(seen)
        await person.answers(f"Address [{org.url}]", "")
        await person.answers("Login [sf]", "")
        await person.sees("a systemd service cannot use it")
        await person.answers("Objects", "Contact")
        await person.answers("Channel", "4")
        await person.answers("Store", "")
        assert await seen.ended(30) == 0
    assert 'auth = "sf"\nusername = "acme"' in config.read_text()
    assert token not in seen.output.decode()
    assert await live(config, home) == {"Contact"}


async def test_change_data_capture_is_offered_as_far_as_it_is_free(org: SimulatedOrg, home: Path) -> None:
    """Of seven objects five can be selected: the next command names these, and they arrive by push."""
    secret = home / "given"
    secret.touch(0o600)
    secret.write_text(org.info["client_secret"])
    config = home / "rtsd.toml"
    names = ["Account", "Contact", "Lead", "Opportunity", "Task", "Campaign", "Invoice__c"]
    ended = await rtsd(
        *("init", "--yes", "--json", "-c", config, "--login-url", org.url, "--auth", "client_credentials"),
        *("--client-id", org.info["client_id"], "--client-secret-file", secret),
        *(word for name in names for word in ("--object", name)),
        *("--channel", "cdc", "--endpoint", org.info["pubsub"], "--store", home / "mirror.db"),
    )
    assert ended.status == 0, ended.err
    assert "Read every five minutes instead: Campaign, Invoice__c." in ended.err
    step = ended.json()["next"][0]
    assert step == f"rtsd stream enable Account Contact Lead Opportunity Task -c {config}"
    selected = await rtsd(*step.split()[1:])
    assert selected.status == 0, selected.err
    assert await live(config, home) == set(names)


async def test_unattended_without_a_store_the_default_is_taken(org: SimulatedOrg, home: Path) -> None:
    """As Enter takes it in the conversation; its directory is made at the end, which is said."""
    secret = home / "given"
    secret.touch(0o600)
    secret.write_text(org.info["client_secret"])
    config, state = home / "rtsd.toml", home / "state_home" / "rtsd"
    words = [
        *("init", "--yes", "--json", "-c", config, "--login-url", org.url, "--auth", "client_credentials"),
        *("--client-id", org.info["client_id"], "--client-secret-file", secret, "--channel", "none"),
    ]
    refused = await rtsd(*words, "--object", "Contct")
    assert (refused.status, state.exists()) == (1, False)
    ended = await rtsd(*words, "--object", "Contact")
    assert ended.status == 0, ended.err
    assert ended.json()["store"] == str(state / "mirror.db")
    assert f"note {state} is not there yet." in ended.err
    assert state.is_dir()
    assert await live(config, home) == {"Contact"}


async def test_unattended_into_a_live_mirror(org: SimulatedOrg, home: Path, url: str) -> None:
    """Every answer is a flag; the password of the database goes into a file of its own."""
    info = org.info
    secret = home / "given"
    secret.touch(0o600)
    secret.write_text(info["client_secret"])
    config = home / "rtsd.toml"
    words = [
        *("init", "--yes", "--json", "-c", config, "--login-url", org.url, "--auth", "client_credentials"),
        *("--client-id", info["client_id"], "--client-secret-file", secret),
        *("--object", "Contact", "--object", "lead"),
        *("--channel", "stream", "--endpoint", info["pubsub"]),
        *("--store", url + "&password=pg-secret-5d0c"),
    ]
    ended = await rtsd(*words)
    assert ended.status == 0, ended.err
    told = ended.json()
    assert told["written"][-1] == str(config)
    assert {Path(path).name for path in told["written"]} == {
        "sf-secret",
        "push-token",
        "postgres-password",
        "rtsd.toml",
    }
    assert [mirrored["rows"] for mirrored in told["objects"]] == [120, 40]
    assert 0 < told["api_calls"] <= 15
    assert told["estimate"]["rows"] == 160
    assert told["next"][0] == f"rtsd package deploy -c {config}"
    assert "pg-secret-5d0c" not in config.read_text() + ended.out + ended.err
    assert await live(config, home) == {"Contact", "Lead"}
    again = await rtsd(*words)
    assert (again.status, "--force" in again.err) == (2, True)
    async with spawn(records={"Contact": 1}, seed=2) as other:
        instead = {org.url: other.url, "stream": "none"}
        refused = await rtsd(*(instead.get(str(word), word) for word in words), "--force")
    assert refused.status == 1
    assert refused.json()["written"] == []
    assert "has the mirror of another org" in refused.json()["problems"][0]["what"]
    assert f"has the mirror of another org, {info['org_id']}" in refused.err
    token = (home / "push-token").read_text()
    forced = await rtsd(*words, "--force")
    assert forced.status == 0, forced.err
    assert (home / "push-token").read_text() == token
    assert json.loads(forced.out)["written"] == told["written"]
