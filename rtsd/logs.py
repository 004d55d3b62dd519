"""Log lines: logfmt on stderr, one event a line, fit for journald, without secrets or control characters.

`setup()` once, by the verb that runs; `conceal()` for every secret as it becomes known. Modules log with
`structlog.get_logger()` or the standard library's `logging`: both end here.
"""

from __future__ import annotations

import logging
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rtsd.core.instant import Millis
from rtsd.core.pace import Pace

if TYPE_CHECKING:
    import asyncio

    from structlog.processors import LogfmtRenderer
    from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["LEVELS", "LoopFailures", "clean", "conceal", "redact", "setup"]

LEVELS = ("debug", "info", "warning", "error")

LOOP_FAILURES_A_SECOND = 5

_REDACTED = "[redacted]"
_SHORTEST_SECRET = 4  # replacing shorter ones would riddle every line and reveal them by that
_concealed: set[str] = set()

# What journald files a line under, from its first characters (sd-daemon(3)).
_PRIORITY = {"critical": "<2>", "error": "<3>", "warning": "<4>", "info": "<6>", "debug": "<7>"}
_UNSAFE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})  # ESC, bidi overrides, lone surrogates…


def conceal(secrets: Iterable[str]) -> None:
    """From now on, replace these texts, and the long lines of those that have several, in every log line."""
    for secret in secrets:
        lines = [secret, *(line for line in secret.splitlines() if len(line) >= 16)]  # a PEM key's
        _concealed.update(line for line in lines if len(line) >= _SHORTEST_SECRET)


def redact(text: str) -> str:
    """Return `text` without any concealed secret; longer ones go first, as one may hold another."""
    for secret in sorted(_concealed, key=len, reverse=True):
        text = text.replace(secret, _REDACTED)
    return text


def clean(text: str) -> str:
    """Return `text` as one line without characters that steer a terminal: they become escapes.

    (CWE-150, CWE-117: a record's value must not write to the terminal, nor forge a log line.)
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNSAFE else char
        for char in text
    )


def setup(level: str = "info", environ: Mapping[str, str] = os.environ) -> None:
    """Send every log line of `level` and above to stderr.

    Under journald (`$JOURNAL_STREAM`) a line starts with its priority and leaves the time to journald.
    """
    import structlog  # noqa: PLC0415 - a third of a second, that verbs which only ask do not wait

    journald = "JOURNAL_STREAM" in environ
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        *([] if journald else [structlog.processors.TimeStamper("iso", utc=True, key="at")]),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.LogfmtRenderer(
        key_order=["at", "level", "event"], drop_missing=True, bool_as_flag=False
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _plain_values,
                _Line(renderer, journald=journald),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiosqlite", "asyncio", "urllib3", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
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
    """The event loop's exception handler: says where something failed, not with what, and not without end."""

    def __init__(self, now: Callable[[], Millis]) -> None:
        self._now = now
        self._pace = Pace(LOOP_FAILURES_A_SECOND)

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log one failure; its text is left out, for it may hold what somebody sent."""
        held_back = self._pace.admit(self._now())
        if held_back is None:
            return
        error = context.get("exception")
        name = type(error).__name__ if error is not None else None
        logging.getLogger("rtsd.loop").error(
            "%s: %s%s", context.get("message"), name, f" (and {held_back} more)" if held_back else ""
        )


def _plain_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make every value text that is safe to print; redact before escaping changes how a secret looks."""
    return {
        clean(redact(key)).replace(" ", "_"): value
        if isinstance(value, int | float) or value is None
        else clean(redact(str(value)))
        for key, value in event.items()
    }


class _Line:
    """The renderer, with journald's priority before it."""

    def __init__(self, renderer: LogfmtRenderer, *, journald: bool) -> None:
        self._renderer = renderer
        self._journald = journald

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        priority = _PRIORITY.get(str(event.get("level")), "<6>") if self._journald else ""
        return priority + self._renderer(logger, method, event)
