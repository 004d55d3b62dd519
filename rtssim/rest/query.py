"""SOQL over REST: pages of at most 2,000 rows, and the locators that fetch the next ones."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from rtssim.interface import OrgError
from rtssim.routing import Call, Reply, Router
from rtssim.soql.result_file import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rtssim.login.accounts import Session
    from rtssim.org import Org, QueryResult
    from rtssim.switches import Switches

CURSOR_LIFE = timedelta(days=2)  # v56 and later (Salesforce Developer Limits, API Query Cursor)
OPEN_SNAPSHOTS = 20  # further open cursors are read to the end: a snapshot keeps the store from shrinking
SOQL_LENGTH = 100_000


def _line_splitter(chunk: bytes, rows: int) -> int:
    position = 0
    for _ in range(rows):
        position = chunk.index(b"\n", position) + 1
    return position


class Cursor:
    """An open query of several pages: what was read of it, on disk, and the rest."""

    def __init__(
        self,
        name: str,
        session: Session,
        opened_at: datetime,
        rest: Iterator[Any],
        *,
        total: int,
        page_rows: int,
    ) -> None:
        self.name = name
        self.session = session
        self.opened_at = opened_at
        self.total = total
        self.page_rows = page_rows
        self.rest: Iterator[Any] | None = rest
        self._spool = Spool(_line_splitter)

    def keep(self, records: list[dict[str, Any]]) -> None:
        """Remember records that were read."""
        self._spool.append(b"".join(msgspec.json.encode(record) + b"\n" for record in records), len(records))

    def read_to(self, row: int) -> None:
        """Read the rows before number `row`, or all there are."""
        while self.rest is not None and self._spool.rows < row:
            records = list(islice(self.rest, self.page_rows))
            self.keep(records)
            if len(records) < self.page_rows:
                self.rest = None

    def records(self, offset: int) -> list[msgspec.Raw]:
        """Return the page that starts at a row, as JSON text."""
        self.read_to(offset + self.page_rows)
        page = b"".join(self._spool.page(offset, self.page_rows).chunks())
        return [msgspec.Raw(line) for line in page.splitlines()]

    def close(self) -> None:
        """Give the space back."""
        self.rest = None
        self._spool.close()


class Queries:
    """Answers `/query` and `/queryAll`."""

    def __init__(self, org: Org, switches: Switches, seed: int = 1) -> None:
        self._org = org
        self._switches = switches
        self._cursors: dict[str, Cursor] = {}
        self._random = random.Random(seed)
        self.rows_served = 0

    def routes(self, router: Router) -> None:
        """Serve queries and their further pages; a locator works on either path."""
        router.add("GET", "/query", self.query, "query")
        router.add("GET", "/queryAll", self.query_all, "query")
        router.add("GET", "/query/{locator}", self.more, "query_more")
        router.add("GET", "/queryAll/{locator}", self.more, "query_more")

    def query(self, call: Call) -> Reply:
        """Answer a query of live rows."""
        return self._start(call, all_rows=False)

    def query_all(self, call: Call) -> Reply:
        """Answer a query that sees deleted, merged and archived rows too."""
        return self._start(call, all_rows=True)

    def _start(self, call: Call, *, all_rows: bool) -> Reply:
        soql = call.query.get("q")
        if not soql:
            raise OrgError(400, "MALFORMED_QUERY", "A query string has to be specified")
        if len(soql) > SOQL_LENGTH:
            text = f"SOQL statements can not be longer than {SOQL_LENGTH} characters"
            raise OrgError(400, "MALFORMED_QUERY", text)
        result = self._org.query(call.session.who, soql, all_rows=all_rows)
        if result.is_count:
            return Reply({"totalSize": result.total_size, "done": True, "records": []})
        page_rows, total = self._page_rows(call, result), result.total_size
        rest = iter(result.records(call.base))
        records = list(islice(rest, page_rows))
        self.rows_served += len(records)
        if total <= page_rows:
            return Reply({"totalSize": total, "done": True, "records": records})
        path = f"{call.base}/queryAll" if all_rows and self._switches.query_all_path else f"{call.base}/query"
        number = "".join(self._random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=12))
        now = self._org.clock.now()
        cursor = Cursor(f"0r8{number}AAA", call.session, now, rest, total=total, page_rows=page_rows)
        cursor.keep(records)
        self._keep(cursor)
        return self._page(cursor, 0, records, path)

    def _page_rows(self, call: Call, result: QueryResult) -> int:
        option = re.search(r"batchSize\s*=\s*(\d+)", call.headers.get("Sforce-Query-Options", ""))
        rows = min(2_000, max(200, int(option[1]))) if option else 2_000
        rows = min(rows, self._switches.page_rows)
        custom = [name for name in result.columns if name.endswith("__c")]
        if len(custom) > 1 and self._long_texts(call, result.object, custom) > 1:
            rows = min(rows, 200)  # (REST API guide, Query Options Header)
        return rows

    def _long_texts(self, call: Call, name: str, columns: list[str]) -> int:
        fields = self._org.describe(call.session.who, name)[0]["fields"]
        return sum(f["name"] in columns and f["type"] == "textarea" and f["length"] > 255 for f in fields)

    def _keep(self, cursor: Cursor) -> None:
        now = self._org.clock.now()
        for old in [c for c in self._cursors.values() if c.opened_at + CURSOR_LIFE < now]:
            self._cursors.pop(old.name).close()
        self._cursors[cursor.name] = cursor
        open_ones = [c for c in self._cursors.values() if c.rest is not None]
        if len(open_ones) > OPEN_SNAPSHOTS:
            open_ones[0].read_to(open_ones[0].total + 1)

    def more(self, call: Call, locator: str) -> Reply:
        """Answer a further page; a locator dies with the session that opened it."""
        number, _, offset = locator.partition("-")
        cursor = self._cursors.get(number)
        now = self._org.clock.now()
        if cursor is None or not offset.isdigit() or cursor.opened_at + CURSOR_LIFE < now:
            raise OrgError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        if not cursor.session.lives(now) or cursor.session.user is not call.session.user:
            raise OrgError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        records = cursor.records(int(offset))
        self.rows_served += len(records)
        return self._page(cursor, int(offset), records, call.base + call.path.rpartition("/")[0])

    def _page(self, cursor: Cursor, offset: int, records: list[Any], path: str) -> Reply:
        end = offset + cursor.page_rows
        data: dict[str, Any] = {"totalSize": cursor.total, "done": end >= cursor.total}
        if not data["done"]:
            data["nextRecordsUrl"] = f"{path}/{cursor.name}-{end}"
        return Reply({**data, "records": records})
