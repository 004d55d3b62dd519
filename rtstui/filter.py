"""The language of the filter line: `obj:Contact kind:push,dead by:audit since:5m text /regex/ !not`.

The rows of tables have no such fields: they are filtered by `text /regex/ !not`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rtsd.control.protocol import Event
from rtstui.meaning import SOURCES, tag
from rtstui.typed_moment import on_wire, typed_moment

WORD = re.compile(r"""!?(?:/(?:[^/\\]|\\.)+/(?=\s|$)|"[^"]*"|\S+)""")
"""A word; it may contain spaces in slashes or quotes."""

Test = Callable[[Event], bool]

KEYS = ("obj", "kind", "op", "id", "out", "field", "by", "since", "until")
"""The words before a colon; all but a time may list several values with commas."""

ROW_LEGEND = "text  /regex/  !not"

LEGEND = (
    "obj:Contact  kind:push,dead  op:delete  id:003  since:5m  until:12:30  by:audit  out:stale  "
    "field:Email  text  /regex/  !not"
)


class FilterMistake(ValueError):
    """The filter cannot be parsed; the text names the word and the reason."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter; without words it passes everything."""

    text: str = ""
    tests: Sequence[Test] = ()

    def __bool__(self) -> bool:
        return bool(self.tests)

    def __call__(self, event: Event) -> bool:
        """Return True if the entry passes."""
        return all(test(event) for test in self.tests)


def parse(text: str, now: datetime) -> Filter:
    """Parse a filter line; durations in it count back from `now`. Raises FilterMistake."""
    words = [match.group() for match in WORD.finditer(text)]
    return Filter(text.strip(), tuple(_test(word, now) for word in words))


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A parsed filter of a table's rows, by their texts; without words it passes every row."""

    text: str = ""
    tests: Sequence[Callable[[str], bool]] = ()

    def __bool__(self) -> bool:
        return bool(self.tests)

    def __call__(self, row: str) -> bool:
        """Return True if the row passes."""
        return all(test(row) for test in self.tests)


def parse_rows(text: str) -> RowFilter:
    """Parse the filter of a table. Raises FilterMistake."""
    words = [match.group() for match in WORD.finditer(text)]
    return RowFilter(text.strip(), tuple(_text_test(word) for word in words))


def _test(word: str, now: datetime) -> Test:
    if word.startswith("!") and len(word) > 1:
        inner = _test(word[1:], now)
        return lambda event: not inner(event)
    key, colon, value = word.partition(":")
    if colon and key.lower() in KEYS:
        wanted = tuple(part.lower() for part in value.split(",") if part)
        if not wanted:
            raise FilterMistake(f"{key}: needs a value")
        if key.lower() in ("since", "until"):
            return _time_test(key.lower(), value, now)
        if key.lower() == "by":
            return _source_test(wanted)
        return _field_test(key.lower(), wanted)
    if colon and key.isalpha():
        raise FilterMistake(f"{key}: is not one of {', '.join(KEYS)}")
    passes = _text_test(word)
    return lambda event: passes(haystack(event))


def _text_test(word: str) -> Callable[[str], bool]:
    """Return the test of a word without a key: a text in any case, `/regex/`, or `!` before one of them."""
    if word.startswith("!") and len(word) > 1:
        inner = _text_test(word[1:])
        return lambda text: not inner(text)
    if len(word) > 2 and word.startswith("/") and word.endswith("/"):
        try:
            pattern = re.compile(word[1:-1], re.IGNORECASE)
        except re.error as error:
            raise FilterMistake(f"{word}: {error}") from error
        return lambda text: pattern.search(text) is not None
    if word.startswith("/") and " " not in word and "/" not in word[1:]:
        raise FilterMistake(f"{word}: the slash that ends it is missing")
    if word.count('"') % 2:
        raise FilterMistake(f"{word}: a quote is not closed")
    needle = word.strip('"').lower()
    return lambda text: needle in text.lower()


def _field_test(key: str, wanted: tuple[str, ...]) -> Test:
    match key:
        case "obj":
            return lambda event: (event.object or "").lower() in wanted
        case "kind":
            return lambda event: tag(event).word.lower() in wanted or event.type in wanted
        case "op":
            return lambda event: (event.op or "") in wanted
        case "out":
            return lambda event: (event.outcome or "") in wanted
        case "field":
            return lambda event: any(name.lower() in wanted for name in event.changed or ())
        case _:
            return lambda event: (event.id or "").lower().startswith(wanted)


def _source_test(wanted: tuple[str, ...]) -> Test:
    """Test what brought a change, by the word of the wire or of the screen."""
    known = {source: source for source in SOURCES}
    known |= {word.lower(): source for source, word in SOURCES.items()}
    for word in wanted:
        if word not in known:
            raise FilterMistake(f"by: {word} is not one of {', '.join(SOURCES)}; d shows who edited a record")
    sources = {known[word] for word in wanted}
    return lambda event: event.source in sources


def _time_test(key: str, value: str, now: datetime) -> Test:
    try:
        at = on_wire(typed_moment(value, now))
    except ValueError as error:
        raise FilterMistake(f"{key}: {error}") from None
    if key == "since":
        return lambda event: event.at >= at
    return lambda event: "" < event.at <= at


def haystack(event: Event) -> str:
    """Return the text in which free text is searched."""
    parts = (tag(event).word, event.object, event.op, event.id, event.outcome, event.message)
    return " ".join(part for part in (*parts, *(event.changed or ())) if part)
