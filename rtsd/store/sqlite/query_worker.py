"""One query in a process of its own: SQL and views on stdin; on stdout a head line and the encoded result.

SQLite's limit on memory holds for a whole process, and the daemon's writer must never fail for it, so the
daemon can't have one. Here the encoding does not hold up its event loop either. Run as a file, with few
imports, to start soon.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Any, NoReturn

import msgspec
import pysqlite3

_ALLOWED = frozenset(
    {
        pysqlite3.SQLITE_SELECT,
        pysqlite3.SQLITE_READ,
        pysqlite3.SQLITE_FUNCTION,
        pysqlite3.SQLITE_RECURSIVE,
    }
)
_SIZED = (str, bytes)


class TooLarge(Exception):
    """The result is over the limit."""


class Answer:
    """The encoded result, as it grows."""

    def __init__(self, columns: list[str], most_rows: int, most_bytes: int) -> None:
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._encode = msgspec.json.Encoder().encode
        self._rows: list[bytes] = []
        self._truncated = False
        self._columns = self._encode(columns)
        self._size = 0
        self._count(len(self._columns))

    def add(self, row: tuple[Any, ...]) -> bool:
        """Add a row; False if there are enough. Raises TooLarge, before a large value is encoded."""
        if len(self._rows) == self._most_rows:
            self._truncated = True
            return False
        if sum(len(value) for value in row if isinstance(value, _SIZED)) > self._most_bytes:
            raise TooLarge
        encoded = self._encode(row)
        self._count(len(encoded) + 1)
        self._rows.append(encoded)
        return True

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > self._most_bytes:
            raise TooLarge

    def write(self) -> None:
        """Write the document of `POST /v1/query`."""
        out = sys.stdout.buffer
        out.write(b'{"columns":%b,"rows":[' % self._columns)
        for number, row in enumerate(self._rows):
            out.write(b"," + row if number else row)
        out.write(b'],"truncated":%b}' % (b"true" if self._truncated else b"false"))


def main(path: str, most_rows: int, most_bytes: int, memory: int, seconds: int) -> None:
    """Answer the query on stdin, or say why not."""
    signal.alarm(seconds)  # ends this process even if the daemon is gone
    asked = json.loads(sys.stdin.buffer.read())
    connection = pysqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    connection.execute(f"PRAGMA hard_heap_limit={memory}")
    connection.execute("PRAGMA busy_timeout=5000")
    for view in asked["views"]:
        connection.execute(view)
    connection.set_authorizer(_only_reading)

    def text(raw: bytes) -> str:
        if len(raw) > most_bytes:
            raise TooLarge
        return raw.decode()

    connection.text_factory = text
    try:
        cursor = connection.execute(asked["sql"])
        if cursor.description is None:
            _refuse("no_query")
        answer = Answer([column[0] for column in cursor.description], most_rows, most_bytes)
        for row in cursor:
            if not answer.add(row):
                break
    except TooLarge:
        _refuse("bytes")
    except MemoryError:
        _refuse("memory")
    except (pysqlite3.Error, pysqlite3.Warning, ValueError) as error:
        _refuse("rejected", str(error))
    _head(None)
    answer.write()


def _only_reading(action: int, *_details: str | None) -> int:
    """Allow reads only: no PRAGMA, no ATTACH, nothing that opens or writes a file."""
    return int(pysqlite3.SQLITE_OK if action in _ALLOWED else pysqlite3.SQLITE_DENY)


def _refuse(reason: str, detail: str = "") -> NoReturn:
    _head(reason, detail)
    sys.stdout.flush()
    sys.exit(0)


def _head(refused: str | None, detail: str = "") -> None:
    sys.stdout.buffer.write(json.dumps({"refused": refused, "detail": detail}).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
