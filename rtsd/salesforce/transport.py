"""TLS, proxies, time-outs, and the `requests` session lent to simple-salesforce."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import requests
from requests.adapters import HTTPAdapter

from rtsd.errors import ConfigError, OrgUnreachable
from rtsd.salesforce.refusals import Refused, Remedy

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: until connected, until the first byte (a query may run 2 minutes), between two bytes."""

    connect_s: float = 10.0
    first_byte_s: float = 150.0
    stall_s: float = 60.0


@cache
def tls_context(ca_file: str) -> ssl.SSLContext:
    """Trust the system's roots, and those of `ca_file` if one is given. Raises ConfigError."""
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except OSError as cause:  # missing, unreadable, or not PEM (ssl.SSLError is one)
        raise ConfigError(
            f"org.ca_file {ca_file} cannot be used: {_reason(cause)}.",
            "It has to be a PEM file of trust roots.",
        ) from cause
    return context


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine: only there is plain http allowed."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(url: str) -> str | None:
    """The environment's proxy for `url`. Passed on by hand: aiohttp's `trust_env` would read netrc too."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def unreachable(url: str, cause: BaseException, *, processed: bool = True) -> Refused:
    """Describe a call that got no whole answer."""
    host = urlsplit(url).netloc
    if isinstance(cause, TimeoutError | requests.Timeout):
        text, do = f"{host} did not answer in time.", ""
    elif isinstance(cause, aiohttp.ClientPayloadError | ConnectionResetError):
        text, do = f"The connection to {host} broke off.", ""
    elif "certificate" in str(cause).lower():
        text, do = f"{host} has a certificate that is not trusted here.", "Set org.ca_file to its trust root."
    else:
        text, do = f"No answer from {host}: {_reason(cause)}.", "Check org.login_url and the network."
    return Refused(OrgUnreachable(text, do), Remedy.RETRY, processed=processed)


def _reason(cause: BaseException) -> str:
    return (str(cause) or type(cause).__name__).split("\n", 1)[0][:200].rstrip(".")


class HostAdapter(HTTPAdapter):
    """Sends every request to `target`: simple-salesforce insists on https://….salesforce.com.

    It also gives each request the time-outs that simple-salesforce does not pass (seen in 1.12.10).
    """

    def __init__(self, target: str, context: ssl.SSLContext, timeouts: Timeouts) -> None:
        self._target = target.rstrip("/")
        self._context = context
        self._timeouts = timeouts
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Pool connections that trust our roots."""
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Pool connections through a proxy that trust our roots."""
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def send(  # noqa: PLR0917  the base class's signature
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002
        timeout: Any = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send `request` to the target, through the environment's proxy for it."""
        parts = urlsplit(request.url or "")
        request.url = self._target + parts.path + (f"?{parts.query}" if parts.query else "")
        proxy = proxy_for(request.url)
        return super().send(
            request,
            stream=stream,
            timeout=timeout or (self._timeouts.connect_s, self._timeouts.first_byte_s),
            verify=verify,
            cert=cert,
            proxies={urlsplit(request.url).scheme: proxy} if proxy else proxies and {},
        )


class LentSession(requests.Session):
    """What simple-salesforce works with: one target, our roots and time-outs, no redirects, no netrc."""

    def __init__(self, target: str, context: ssl.SSLContext, timeouts: Timeouts) -> None:
        super().__init__()
        self.mount("https://", HostAdapter(target, context, timeouts))
        self.max_redirects = 0
        self.auth = _keep_authorization
        self.last: requests.Response | None = None
        """The last response, as it came."""
        self.hooks["response"].append(self._remember)

    def _remember(self, response: requests.Response, *_args: Any, **_options: Any) -> None:
        self.last = response


def _keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Take the place of netrc, which would replace the Authorization header."""
    return request


async def in_daemon_thread(call: Callable[[], _T]) -> _T:
    """Run a blocking call in a thread that does not hold up the end of the process.

    A thread of the event loop's executor is waited for when the loop closes: a stalled describe would
    delay SIGTERM by its whole time-out.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only where the call returned it

    def run() -> None:
        result: _T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001  it is raised in the loop
            error = caught
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="simple-salesforce", daemon=True).start()
    return await done
