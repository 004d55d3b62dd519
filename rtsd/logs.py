"""Logging to stderr: text for people, JSON for programs, without secrets or control characters.

The running verb calls `setup()` once, and `conceal()` for every secret it loads. Modules log with
`structlog.get_logger()` or the standard library's `logging`; both end here.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsd.core.instant import Millis
from rtsd.core.rate_limit import RateLimit
from rtsd.journald import INFO, PRIORITIES, SOCKET, JournalHandler, entry, leads_there

if TYPE_CHECKING:
    import asyncio

    from structlog.typing import EventDict, Processor, WrappedLogger

    Renderer = Callable[[WrappedLogger, str, EventDict], str]

__all__ = ["FORMS", "LEVELS", "LoopFailures", "clean", "conceal", "redact", "setup"]

LEVELS = ("debug", "info", "warning", "error")
FORMS = ("auto", "text", "json")
_FIRST = ("at", "level", "event")

LOOP_FAILURES_PER_SECOND = 5

_REDACTED = "[redacted]"
_SHORTEST_SECRET = 4  # redacting shorter ones would garble every line and thereby reveal them
_concealed: set[str] = set()

_UNSAFE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})  # ESC, bidi overrides, lone surrogates…


def conceal(secrets: Iterable[str]) -> None:
    """Redact these texts, and the long lines of multi-line ones, in every log line from now on."""
    for secret in secrets:
        lines = [secret, *(line for line in secret.splitlines() if len(line) >= 16)]  # of a PEM key
        _concealed.update(line for line in lines if len(line) >= _SHORTEST_SECRET)


def redact(text: str) -> str:
    """Return `text` with every concealed secret redacted, longest first as one may contain another."""
    for secret in sorted(_concealed, key=len, reverse=True):
        text = text.replace(secret, _REDACTED)
    return text


def clean(text: str) -> str:
    """Return `text` on one line, with terminal control characters escaped.

    (CWE-150, CWE-117: a record's value must neither control the terminal nor forge a log line.)
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNSAFE else char
        for char in text
    )


def setup(
    level: str = "info", form: str = "auto", environ: Mapping[str, str] = os.environ, journal: Path = SOCKET
) -> None:
    """Send every log line of `level` and above to stderr, in one of FORMS.

    `auto` means text on a terminal and JSON otherwise. Under journald (`$JOURNAL_STREAM`) a line carries no
    time, which journald records itself. If stderr leads there, each line is an entry with fields, sent to the
    socket `journal`; else it starts with its priority.
    """
    import structlog  # noqa: PLC0415 - takes a third of a second, which verbs that only query avoid

    journald = "JOURNAL_STREAM" in environ
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        *([] if journald else [structlog.processors.TimeStamper("iso", utc=True, key="at")]),
        structlog.processors.format_exc_info,
    ]
    text = form == "text" or (form == "auto" and sys.stderr.isatty() and not journald)
    renderer = _logfmt() if text else _json
    native = journald and leads_there(environ)
    handler = JournalHandler(journal) if native else logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _plain_values,
                _Entry(renderer) if native else _Line(renderer, journald=journald),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiosqlite", "asyncio", "urllib3", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("nats").setLevel(
        logging.CRITICAL
    )  # nats-py logs tracebacks; rtsd.fanout says what failed
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class LoopFailures:
    """The event loop's exception handler: logs the type of a failure, rate-limited and without its text."""

    def __init__(self, now: Callable[[], Millis]) -> None:
        self._now = now
        self._rate_limit = RateLimit(LOOP_FAILURES_PER_SECOND)

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log a failure without its text, which may contain data that somebody sent."""
        suppressed = self._rate_limit.admit(self._now())
        if suppressed is None:
            return
        error = context.get("exception")
        name = type(error).__name__ if error is not None else None
        logging.getLogger("rtsd.loop").error(
            "%s: %s%s", context.get("message"), name, f" (and {suppressed} more)" if suppressed else ""
        )


def _logfmt() -> Renderer:
    from structlog.processors import LogfmtRenderer  # noqa: PLC0415 - as in setup

    return LogfmtRenderer(key_order=list(_FIRST), drop_missing=True, bool_as_flag=False)


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """Render one JSON object, with the same keys first."""
    first = {key: event.pop(key) for key in _FIRST if key in event}
    return json.dumps({**first, **event})


def _plain_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn every value into a number or printable text, and drop missing values.

    Redact before escaping, which would alter a secret beyond recognition.
    """
    return {
        clean(redact(key)).replace(" ", "_"): value
        if isinstance(value, int | float)
        else clean(redact(str(value)))
        for key, value in event.items()
        if value is not None
    }


class _Entry:
    """A renderer of entries for the journal."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        fields = dict(event)
        return entry(self._renderer(logger, method, event), str(fields.pop("level", "")), fields)


class _Line:
    """A renderer that prefixes journald's priority."""

    def __init__(self, renderer: Renderer, *, journald: bool) -> None:
        self._renderer = renderer
        self._journald = journald

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        priority = f"<{PRIORITIES.get(str(event.get('level')), INFO)}>" if self._journald else ""
        return priority + self._renderer(logger, method, event)
