"""/query and /queryAll: pages of at most 2,000 rows, and the locators of further pages."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from rtssim.interface import OrgError, session_expired
from rtssim.routing import Call, Reply, Router
from rtssim.soql.result_file import ResultFile, line_splitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from rtssim.login.accounts import Session
    from rtssim.org import Org
    from rtssim.soql.result import QueryResult
    from rtssim.switches import ApiSwitches

CURSOR_LIFE = timedelta(days=2)  # v56 and later (Salesforce Developer Limits, API Query Cursor)
OPEN_SNAPSHOTS = 20  # beyond, the oldest is read to its end: an open snapshot keeps the WAL file growing
PAGE_ROWS = 2_000
FEWEST_PAGE_ROWS = 200


class Cursor:
    """An open query of several pages: the rows read so far, on disk, and an iterator of the rest."""

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
        self._file = ResultFile(line_splitter)

    def keep(self, records: list[dict[str, Any]]) -> None:
        """Append records that were read."""
        self._file.append(b"".join(msgspec.json.encode(record) + b"\n" for record in records), len(records))

    def read_to(self, row: int) -> None:
        """Read the rows before number `row`, or as many as there are."""
        while self.rest is not None and self._file.rows < row:
            records = list(islice(self.rest, self.page_rows))
            self.keep(records)
            if len(records) < self.page_rows:
                self.rest = None

    def records(self, offset: int) -> list[msgspec.Raw]:
        """Return the page that starts at row `offset`, as JSON text."""
        self.read_to(offset + self.page_rows)
        page = b"".join(self._file.page(offset, self.page_rows).chunks())
        return [msgspec.Raw(line) for line in page.splitlines()]

    def close(self) -> None:
        """Remove the file."""
        self.rest = None
        self._file.close()


class Queries:
    """Answers `/query` and `/queryAll`."""

    def __init__(self, org: Org, switches: ApiSwitches) -> None:
        self._org = org
        self._switches = switches
        self.before: dict[str, Callable[[str, str], None]] = {}
        """Called with statement and API version before a query of that object (lower case)."""
        self._cursors: dict[str, Cursor] = {}
        self._random = random.Random(1)
        self.rows_served = 0

    def routes(self, router: Router) -> None:
        """Serve queries and their further pages; a locator works on either path."""
        router.add("GET", "/query", self.query, "query")
        router.add("GET", "/queryAll", self.query_all, "query")
        router.add("GET", "/query/{locator}", self.more, "query_more")
        router.add("GET", "/queryAll/{locator}", self.more, "query_more")

    def query(self, call: Call) -> Reply:
        """Answer a query for live rows."""
        return self._start(call, all_rows=False)

    def query_all(self, call: Call) -> Reply:
        """Answer a query for live, deleted, merged and archived rows."""
        return self._start(call, all_rows=True)

    def _start(self, call: Call, *, all_rows: bool) -> Reply:
        soql = call.query.get("q", "")
        target = re.search(r"\bFROM\s+(\w+)", soql, re.IGNORECASE)
        if target is not None and target[1].lower() in self.before:
            self.before[target[1].lower()](soql, call.version)
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
        rows = min(PAGE_ROWS, max(FEWEST_PAGE_ROWS, int(option[1]))) if option else PAGE_ROWS
        rows = min(rows, self._switches.page_rows)
        custom = [name for name in result.columns if name.endswith("__c")]
        if len(custom) > 1 and self._long_texts(call, result.object, custom) > 1:
            rows = min(rows, FEWEST_PAGE_ROWS)  # (REST API guide, Query Options Header)
        return rows

    def _long_texts(self, call: Call, name: str, columns: list[str]) -> int:
        fields = self._org.describe(call.session.who, name)[0]["fields"]
        return sum(f["name"] in columns and f["type"] == "textarea" and f["length"] > 255 for f in fields)

    def _keep(self, cursor: Cursor) -> None:
        now = self._org.clock.now()
        for expired in [c for c in self._cursors.values() if c.opened_at + CURSOR_LIFE < now]:
            self._cursors.pop(expired.name).close()
        self._cursors[cursor.name] = cursor
        unread = [c for c in self._cursors.values() if c.rest is not None]
        if len(unread) > OPEN_SNAPSHOTS:
            unread[0].read_to(unread[0].total + 1)

    def more(self, call: Call, locator: str) -> Reply:
        """Answer a further page; a locator ends with the session that opened it."""
        number, _, offset = locator.partition("-")
        cursor = self._cursors.get(number)
        now = self._org.clock.now()
        if cursor is None or not offset.isdigit() or cursor.opened_at + CURSOR_LIFE < now:
            raise OrgError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        if not cursor.session.is_usable(now) or cursor.session.user is not call.session.user:
            raise session_expired()
        records = cursor.records(int(offset))
        self.rows_served += len(records)
        return self._page(cursor, int(offset), records, call.base + call.path.rpartition("/")[0])

    def _page(self, cursor: Cursor, offset: int, records: list[Any], path: str) -> Reply:
        end = offset + cursor.page_rows
        data: dict[str, Any] = {"totalSize": cursor.total, "done": end >= cursor.total}
        if not data["done"]:
            data["nextRecordsUrl"] = f"{path}/{cursor.name}-{end}"
        return Reply({**data, "records": records})
