"""The dashboard in a browser: who is let in, and that it works in a real Chromium."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket as sockets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.dashboard.app import until
from tests.support.dashboard.fake_daemon import FakeDaemon
from tests.support.dashboard.scenarios import events, live

DRIVER = shutil.which("chromedriver")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def served(socket: Path) -> AsyncIterator[str]:
    """`rtstui serve` on this daemon; yields the link that it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtstui", "serve", "--port", str(free_port()), "--socket", str(socket)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
        assert found is not None, line
        await until(lambda: _listens(found.group()), seconds=10)
        yield found.group()
    finally:
        process.terminate()
        await process.wait()


def session(cookies: dict[str, str] | None = None) -> aiohttp.ClientSession:
    """A client that keeps cookies of addresses, as browsers do."""
    return aiohttp.ClientSession(cookies=cookies, cookie_jar=aiohttp.CookieJar(unsafe=True))


def _listens(link: str) -> bool:
    with sockets.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(link.split(":")[2].split("/", maxsplit=1)[0]))) == 0


async def test_only_the_link_lets_one_in(socket: Path) -> None:
    """Without the token, with a wrong one, or from another page: 403; with it a cookie, and the page."""
    async with served(socket) as link, session() as browser:
        root = link.partition("?")[0]
        for path in ("", "?token=wrong", "ws", "static/js/textual.js"):
            async with browser.get(root + path) as answer:
                assert answer.status == 403, path
        async with browser.get(link) as answer:
            page = await answer.text()
            assert answer.status == 200
            assert "token" not in str(answer.url)
            assert "textual-terminal" in page
            assert "https://" not in page, "the page asks a stranger for something"
            assert "<title>rtstui</title>" in page
            assert 'rel="icon"' in page
            font = re.findall(r'url\("(/static/fonts/[^"]+)"\)', page)
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        async with browser.get(root.rstrip("/") + font[0]) as fetched:
            assert fetched.status == 200
        cookie = browser.cookie_jar.filter_cookies(answer.url)["rtstui"].value
        async with browser.get(root + "ws", headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 403
    cookies = {"rtstui": cookie}
    async with (
        served(socket) as other,
        session(cookies) as stranger,
        stranger.get(other.partition("?")[0]) as answer,
    ):
        assert answer.status == 403, "a link is good for one run"


async def test_the_dashboard_runs_behind_the_page(socket: Path) -> None:
    """What a browser's socket gets is the dashboard on this daemon, and its keys work."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with daemon, served(socket) as link, session() as browser:
        async with browser.get(link) as answer:
            root = str(answer.url)
        painted = bytearray()
        async with browser.ws_connect(f"{root}ws?width=120&height=35") as page:

            async def read() -> None:
                async for message in page:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        painted.extend(message.data)

            reading = asyncio.create_task(read())
            await until(lambda: b"connected" in painted, seconds=15)
            await page.send_json(["stdin", "5"])
            await until(lambda: b"Daily limits" in painted, seconds=10)
            reading.cancel()


class Browser:
    """Chromium, driven over WebDriver (W3C WebDriver)."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http, self.url = http, url

    async def do(self, path: str, body: object | None = None) -> Any:
        """One command of the session."""
        method = "GET" if body is None else "POST"
        async with self.http.request(method, f"{self.url}/{path}", json=body) as answer:
            return (await answer.json())["value"]

    async def painted(self) -> None:
        """Wait until the dashboard is there, and as it was a moment before."""
        before, now = "", ""
        async with asyncio.timeout(30):
            while len(now) < 100_000 or now != before:  # an empty page is a tenth of it
                before, now = now, await self.do("screenshot")

    async def click(self) -> None:
        """Into the middle of the page."""
        move = {"type": "pointerMove", "x": 600, "y": 400}
        actions = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        await self.do("actions", {"actions": [{"type": "pointer", "id": "m", "actions": actions}]})

    async def press(self, keys: str) -> None:
        """Type, as a person does."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        await self.do("actions", {"actions": [{"type": "key", "id": "k", "actions": actions}]})


@asynccontextmanager
async def chromium(directory: Path) -> AsyncIterator[Browser]:
    """A browser of its own; its log of the net is in `directory`."""
    port = free_port()
    driver = await asyncio.create_subprocess_exec(
        str(DRIVER), f"--port={port}", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,800"]
    arguments += [f"--user-data-dir={directory / 'profile'}", f"--log-net-log={directory / 'net.json'}"]
    options = {"binary": CHROMIUM, "args": [*arguments, "--disable-background-networking"]}
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    async with aiohttp.ClientSession() as http:
        try:
            await until(lambda: _listens(f"http://127.0.0.1:{port}/"), seconds=20)
            async with http.post(f"http://127.0.0.1:{port}/session", json=wanted) as answer:
                session = (await answer.json())["value"]["sessionId"]
            url = f"http://127.0.0.1:{port}/session/{session}"
            yield Browser(http, url)
            async with http.delete(url):
                pass
        finally:
            driver.terminate()
            await driver.wait()


@pytest.mark.slow
@pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no Chromium here (Debian: apt install chromium chromium-driver)",
)
async def test_a_real_browser_shows_it_and_its_keys_work(socket: Path, tmp_path: Path) -> None:
    """Painted in Chromium, typed at in Chromium; the page asks nobody else for anything."""
    daemon = FakeDaemon(socket, live(), events(1, 400))
    async with daemon, served(socket) as link, chromium(tmp_path) as browser:
        await browser.do("url", {"url": link})
        await until(lambda: daemon.following, seconds=30)
        await browser.painted()
        assert "token" not in await browser.do("url")
        await browser.click()
        for key in ("3", "P", "y"):
            await browser.press(key)
            await browser.painted()
        await until(lambda: daemon.requests, seconds=10)
        assert daemon.requests == [("POST /v1/pause", {"objects": ["Account"]})]
    assert "fonts.googleapis.com" not in _connected(tmp_path / "net.json")


def _connected(log: Path) -> str:
    """The hosts that were connected to, by Chromium's own log."""
    return " ".join(re.findall(r'"(?:host|host_port|hostname)":"([^"]+)"', log.read_text(errors="replace")))
