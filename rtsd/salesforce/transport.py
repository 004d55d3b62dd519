"""TLS, proxies, time-outs, and the `requests` session that simple-salesforce uses."""

from __future__ import annotations

import asyncio
import os
import re
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
from rtsd.salesforce.error_mapping import CallFailed, Recovery

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time-outs in seconds: to connect, to the first byte (a query may run 2 minutes), between bytes."""

    connect_s: float = 10.0
    first_byte_s: float = 150.0
    stall_s: float = 60.0


@cache
def tls_context(ca_file: str) -> ssl.SSLContext:
    """Create a context that trusts the system's roots and those of `ca_file`, if any. Raises ConfigError."""
    context = ssl.create_default_context()
    try:
        if ca_file:
            context.load_verify_locations(ca_file)
    except OSError as cause:  # missing, unreadable, or not PEM (ssl.SSLError is one)
        raise ConfigError(
            f"org.ca_file {ca_file} cannot be used: {_reason(cause)}.",
            "Set it to a PEM file of trusted root certificates.",
        ) from cause
    return context


def is_loopback(url: str) -> bool:
    """Whether `url` names this machine, the only place where plain http is allowed."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(url: str) -> str | None:
    """The environment's proxy for `url`. aiohttp's own `trust_env` would also read netrc."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def unreachable(url: str, cause: BaseException, *, processed: bool = True) -> CallFailed:
    """The failure of a call without a complete response."""
    host = urlsplit(url).netloc
    if isinstance(cause, TimeoutError | requests.Timeout):
        text, do = f"{host} did not answer in time.", ""
    elif isinstance(cause, aiohttp.ClientPayloadError | ConnectionResetError):
        text, do = f"The connection to {host} was interrupted.", ""
    elif "certificate" in str(cause).lower():
        text, do = f"The certificate of {host} is not trusted.", "Set org.ca_file to its root certificate."
    else:
        text = f"No answer from {host}: {_network_reason(cause)}."
        do = "Check org.login_url, and the network, DNS and firewall between here and it."
    return CallFailed(OrgUnreachable(text, do), Recovery.RETRY, processed=processed)


def _network_reason(cause: BaseException) -> str:
    """The system's own words, such as `Connection refused`, out of the libraries' long ones."""
    inner = getattr(cause, "os_error", cause)
    if isinstance(inner, OSError) and inner.errno is not None and inner.errno > 0:
        return os.strerror(inner.errno)
    found = re.search(r"\[Errno -?[0-9]+\] ([^\])\"'\[]+)", str(cause))
    return found[1].strip() if found else _reason(cause)


def _reason(cause: BaseException) -> str:
    return (str(cause) or type(cause).__name__).split("\n", 1)[0][:200].rstrip(".")


class TargetAdapter(HTTPAdapter):
    """Sends every request to `target`, because simple-salesforce insists on https://….salesforce.com.

    Also adds time-outs, which simple-salesforce does not set (seen in 1.12.10).
    """

    def __init__(self, target: str, context: ssl.SSLContext, timeouts: Timeouts) -> None:
        self._target = target.rstrip("/")
        self._context = context
        self._timeouts = timeouts
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Create a pool whose connections trust the configured roots."""
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Create a proxy pool whose connections trust the configured roots."""
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


class TargetSession(requests.Session):
    """A session for simple-salesforce: one target, configured roots and time-outs, no redirects or netrc."""

    def __init__(self, target: str, context: ssl.SSLContext, timeouts: Timeouts) -> None:
        super().__init__()
        self.mount("https://", TargetAdapter(target, context, timeouts))
        self.max_redirects = 0
        self.auth = _keep_authorization
        self.last: requests.Response | None = None
        """The last response as received."""
        self.hooks["response"].append(self._remember)

    def _remember(self, response: requests.Response, *_args: Any, **_options: Any) -> None:
        self.last = response


def _keep_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the Authorization header alone; without an auth hook, requests would take one from netrc."""
    return request


async def in_daemon_thread(call: Callable[[], _T]) -> _T:
    """Run a blocking call in a thread that does not delay the end of the process.

    A closing event loop waits for its executor's threads: there, a stalled describe would delay SIGTERM by
    its whole time-out.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # None only if the call returned None

    def run() -> None:
        result: _T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001  re-raised in the loop
            error = caught
        with suppress(RuntimeError):  # the loop was closed in the meantime: nobody waits
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="simple-salesforce", daemon=True).start()
    return await done
