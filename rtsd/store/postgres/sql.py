"""Statements as PostgreSQL reads them, translated from those that `rtsd.store` writes once."""

from __future__ import annotations

import re
from functools import lru_cache

from rtsd.store.database import AMONG
from rtsd.store.dialect import quoted
from rtsd.store.postgres.migrations import MIGRATIONS

_TABLES = re.findall(r"CREATE TABLE (_rts_\w+)", "".join(script for _, script in MIGRATIONS.after(0)))
_TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*')"
    r'|(?P<quoted>"(?:[^"]|"")*")'
    rf"|(?P<none>NOT {re.escape(AMONG)})"
    rf"|(?P<any>{re.escape(AMONG)})"
    r"|\?(?P<number>\d+)"
    r"|(?P<next>\?)"
    rf"|(?P<table>\b(?:{'|'.join(_TABLES)})\b)"
)


class Translation:
    """Translates statements for a schema of rtsd's own tables."""

    def __init__(self, internal_schema: str) -> None:
        self._schema = quoted(internal_schema)
        self.translate = lru_cache(maxsize=2_000)(self._translate)

    def _translate(self, sql: str) -> str:
        """Number the parameters, pass lists as arrays, and name the schema of rtsd's tables."""
        count = 0

        def one(found: re.Match[str]) -> str:
            nonlocal count
            kind = found.lastgroup
            if kind in {"text", "quoted"}:
                return found[0]
            if kind == "number":
                return f"${found['number']}"
            if kind == "table":
                return f"{self._schema}.{found[0]}"
            count += 1
            return {"any": f"= ANY (${count})", "none": f"<> ALL (${count})"}.get(kind or "", f"${count}")

        return _TOKEN.sub(one, sql)
