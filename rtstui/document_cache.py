"""Documents that views load from the daemon when they need them, and their cache; no Textual here.

Status, events, errors and dead letters arrive by themselves. Any other document is a `DocumentRequest`: it
is loaded while a view that shows it is visible, and again when it has expired or the daemon came back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from rtsd.control.client import ControlClient, UnknownRoute
from rtsd.errors import RtsError
from rtstui.clean import LONGEST_VALUE, clean, cleaned

T = TypeVar("T")

KEPT = 64
"""Documents in the cache; the one that was used longest ago goes first."""


@dataclass(frozen=True, slots=True)
class DocumentRequest(Generic[T]):
    """How to load a document. `key` identifies it, `label` names it in sentences.

    `max_age_s` is the age in seconds at which it expires; None: when the daemon comes back, or on demand.
    """

    key: str
    label: str
    load: Callable[[ControlClient], Awaitable[T]]
    max_age_s: float | None = None


@dataclass(slots=True)
class CachedDocument(Generic[T]):
    """The newest value of a document and its moment, and the reason if there is no newer one."""

    label: str
    value: T | None = None
    at: datetime | None = None
    requested_at: datetime | None = None
    loading: bool = False
    problem: str = ""
    unsupported: bool = False
    """True if the daemon is too old to have such a document."""

    def is_due(self, now: datetime, max_age_s: float | None) -> bool:
        """Return True if it is time to load it; an old daemon is asked again only when it comes back."""
        if self.loading:
            return False
        if self.requested_at is None:
            return True
        if max_age_s is None or self.unsupported:
            return False
        return (now - self.requested_at).total_seconds() >= max_age_s


class DocumentCache:
    """The documents of one daemon, by the keys of their requests."""

    def __init__(self) -> None:
        self._documents: dict[str, CachedDocument[Any]] = {}

    def get(self, request: DocumentRequest[T]) -> CachedDocument[T]:
        """Return the document, without a value if it was never loaded."""
        document = self._documents.pop(request.key, None) or CachedDocument(request.label)
        self._documents[request.key] = document  # the newest last
        while len(self._documents) > KEPT:
            del self._documents[next(iter(self._documents))]
        return document

    def expire(self, prefix: str = "") -> None:
        """Have documents loaded again whose keys begin so: the daemon came back, or something was changed."""
        for key, document in self._documents.items():
            if key.startswith(prefix):
                document.requested_at = None


async def load(
    request: DocumentRequest[T], document: CachedDocument[T], client: ControlClient, now: datetime
) -> None:
    """Load a document into the cache; a failure keeps the last good value."""
    document.loading, document.requested_at = True, now
    try:
        value = cleaned(await request.load(client), LONGEST_VALUE)
    except UnknownRoute as error:
        document.unsupported, document.problem = True, clean(str(error))
    except RtsError as error:
        document.problem = clean(str(error))
    else:
        document.value, document.at = value, now
        document.problem, document.unsupported = "", False
    finally:
        document.loading = False
