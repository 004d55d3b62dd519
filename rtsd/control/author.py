"""The author of a request: the Unix user at the other end of the control socket, and the program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from aiohttp import web

from rtsd.control.access import peer_of
from rtsd.users import user_name

USER_HEADER, PROGRAM_HEADER = "Rtsd-User", "Rtsd-Program"
"""In a request that another node was asked for. Only rtsd's own process is believed."""

LONGEST_PROGRAM = 40


class Author(NamedTuple):
    """A user by name, else by number, and the program if it says its name."""

    user: str
    program: str | None

    def headers(self) -> Mapping[str, str]:
        """Return what carries the author to the leader's own socket."""
        program = {PROGRAM_HEADER: quote(self.program)} if self.program else {}
        return {USER_HEADER: quote(self.user)} | program


def author_of(request: web.Request) -> Author:
    """Return who asks, by the kernel; what another node was asked for has the author from there."""
    peer = peer_of(request)
    if peer.pid == os.getpid() and (user := request.headers.get(USER_HEADER)):
        return Author(unquote(user), unquote(request.headers.get(PROGRAM_HEADER, "")) or None)
    return Author(user_name(peer.uid), _program(request.headers.get("User-Agent", "")))


def _program(agent: str) -> str | None:
    """Return the name before the first slash: `rtstui` of `rtstui/1.0.0`."""
    name = agent.partition("/")[0].strip()
    return name[:LONGEST_PROGRAM] if name.isprintable() and name.isascii() and name else None
