"""The simulated org: describe, query, DML and replication on a SQLite database, as Salesforce does them.

Synchronous and single-threaded, except `QueryResult.csv_chunks`, which reads on a connection of its own.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rtssim import ids
from rtssim.clock import Clock
from rtssim.database import OrgDatabase, quote
from rtssim.interface import Commit, OrgError, Principal, RowChange, SaveResult, not_found
from rtssim.records.dml import Dml
from rtssim.records.merge import Merges
from rtssim.records.org_rules import OrgRules
from rtssim.records.replication import Replication
from rtssim.records.rows import Rows
from rtssim.records.schema_changes import SchemaChanges
from rtssim.records.transactions import Transactions
from rtssim.records.untriggered import UntriggeredEdits
from rtssim.sample_data.generator import DEFAULT_RECORDS, Generator
from rtssim.sample_data.setup_rows import create_setup_rows
from rtssim.schema import crm_objects, setup_objects
from rtssim.schema.describe import describe_entry, describe_object
from rtssim.schema.model import COMPOUND_TYPES, Schema
from rtssim.schema.package_objects import package_objects
from rtssim.soql.parser import parse
from rtssim.soql.planner import MAX_GROUPS, plan, plan_fields
from rtssim.soql.result import BASE, QueryResult
from rtssim.soql.scope import Context
from rtssim.switches import OrgSwitches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from rtssim.schema.model import Field, ObjectType

__all__ = ["Clock", "Commit", "Org", "OrgError", "Principal", "RowChange"]

NAME = "Acme"


class Org:
    """A single org. `records` maps object names to the number of rows to generate (None: about 50,000).

    `path` is the SQLite file (None: a temporary one, removed by `close`). `sync_user` is a principal that
    sees everything, `admin` the user who created the data. `untriggered` holds the edits that fire no
    trigger.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        records: Mapping[str, int] | None = None,
        clock: Clock | None = None,
        path: str | None = None,
    ) -> None:
        self.clock = clock if clock is not None else Clock()
        self.switches = OrgSwitches()
        self.instance_url = ""
        self.time_zone = "GMT"
        self.schema = Schema([*crm_objects.objects(), *setup_objects.objects()])
        self.database = OrgDatabase(path)
        self._transactions = Transactions(self.database, self.clock)
        self._rows = Rows(self.schema, self.database, self._transactions, self.switches, seed)
        self.org_id = ids.encode("00D", self._rows.instances[0], seed)
        for obj in self.schema:
            self.database.create_table(obj)
        self.user_ids = create_setup_rows(self._rows, self.org_id, NAME, f"{NAME.lower()}.example")
        self.admin, self.sync_user = (Principal(user_id) for user_id in self.user_ids[:2])
        generator = Generator(self._rows, self.clock.now(), seed, self.user_ids)
        generator.fill(DEFAULT_RECORDS if records is None else records)
        for obj in self.schema:
            self.database.index(obj)
        self.database.open_for_readers()
        self._described: dict[tuple[str, Principal, str], tuple[dict[str, Any], datetime]] = {}
        self.rules = OrgRules()
        self._dml = Dml(self._rows, self.rules)
        self._merges = Merges(self._rows, self._dml)
        self._replication = Replication(self._rows, self.clock)
        self.untriggered = UntriggeredEdits(self._rows, self.admin)
        self._schema_changes = SchemaChanges(self._rows, self.clock)

    def close(self) -> None:
        """Close the database and remove a temporary file."""
        self.database.close()

    # -- describe --------------------------------------------------------------------------------------
    def object(self, who: Principal, name: str) -> ObjectType:
        """Return a visible object; NOT_FOUND (404) otherwise."""
        obj = self.schema.find(name)
        if obj is None or obj.name in who.hidden_objects:
            raise not_found()
        return obj

    def describe_global(self, who: Principal, base: str = BASE) -> list[dict[str, Any]]:
        """Return the entries of `/sobjects` (REST API guide, Describe Global)."""
        visible = (obj for obj in self.schema if obj.name not in who.hidden_objects)
        return [describe_entry(obj, base) for obj in sorted(visible, key=lambda obj: obj.name)]

    def describe(self, who: Principal, name: str, base: str = BASE) -> tuple[dict[str, Any], datetime]:
        """Return the describe document and when the object's definition last changed; NOT_FOUND if unknown.

        All callers share the document: don't change it.
        """
        obj = self.object(who, name)
        key = (obj.name, who, base)
        known = self._described.get(key)
        if known is None or known[1] != self.schema.changed:
            document = describe_object(self.schema, obj, who, base)
            known = self._described[key] = document, self.schema.changed
        return known[0], obj.changed

    def described_at(self) -> datetime:
        """Return when any object's definition last changed (Last-Modified of describeGlobal)."""
        return self.schema.changed

    # -- reading ---------------------------------------------------------------------------------------
    def _context(
        self, who: Principal, text: str = "", *, all_rows: bool = False, bulk: bool = False
    ) -> Context:
        self._transactions.settle()
        return Context(
            schema=self.schema,
            who=who,
            switches=self.switches,
            now=self.clock.now(),
            zone=self.time_zone,
            text=text,
            all_rows=all_rows,
            bulk=bulk,
        )

    def query(self, who: Principal, soql: str, *, all_rows: bool = False, bulk: bool = False) -> QueryResult:
        """Run `soql`; OrgError MALFORMED_QUERY, INVALID_FIELD, INVALID_TYPE and others."""
        select = plan(self._context(who, soql, all_rows=all_rows, bulk=bulk), parse(soql))
        self._refuse_width(len(select.columns))
        result = QueryResult(select, self.database, self.schema, self.switches, eager=not bulk)
        if select.grouped and not select.capped and result.total_size > MAX_GROUPS:
            result.close()
            reason = "use LIMIT to restrict the results to a single batch"
            message = f"Aggregate query does not support queryMore(), {reason}"
            raise OrgError(400, self.switches.group_limit_code, message)
        return result

    def first_column(self, soql: str) -> list[Any]:
        """Return the first column of a query as the system sees it."""
        return [row[0] for row in self.query(self.sync_user, soql).rows()]

    def _refuse_width(self, columns: int) -> None:
        if 0 < self.switches.most_columns < columns:
            message = (
                "Query is either selecting too many fields or the filter conditions are too complicated."
            )
            raise OrgError(400, "QUERY_TOO_COMPLICATED", message)

    def _read(
        self, who: Principal, obj: ObjectType, fields: Sequence[str], where: str, value: Any
    ) -> QueryResult:
        context = self._context(who)
        select = plan_fields(context, obj, fields, where.replace("{value}", context.param(value)))
        return QueryResult(select, self.database, self.schema, self.switches, eager=True)

    def retrieve(
        self,
        who: Principal,
        obj: str,
        ids_: Sequence[str],
        fields: Sequence[str] | None = None,
        base: str = BASE,
    ) -> list[dict[str, Any] | None]:
        """Return REST records aligned with `ids_`, None if missing, deleted or hidden; `fields` None: all."""
        entity = self.object(who, obj)
        names = self._field_names(who, entity, fields)
        self._refuse_width(len(names))
        full = [ids.to_18(record_id) for record_id in ids_]
        known = json.dumps([record_id for record_id in full if record_id])
        result = self._read(who, entity, names, "{t}.Id IN (SELECT value FROM json_each({value}))", known)
        found = {record["attributes"]["url"].rpartition("/")[2]: record for record in result.records(base)}
        return [found.get(record_id) if record_id else None for record_id in full]

    @staticmethod
    def _field_names(who: Principal, obj: ObjectType, fields: Sequence[str] | None) -> list[str]:
        if fields is None:
            return [name for name in obj.fields if (obj.name, name) not in who.hidden_fields]
        names: list[str] = []
        for name in fields:
            field = obj.find(name)
            if field is None or (obj.name, field.name) in who.hidden_fields:
                raise OrgError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {obj.name}")
            if field.name not in names:
                names.append(field.name)
        return names

    def state_of(self, obj: str, record_id: str) -> str:
        """Return a row's state: 'live', 'deleted' (in the recycle bin) or 'absent'."""
        full = ids.to_18(record_id) or record_id
        row = self.database.rows(self.schema[obj], [full]).get(full)
        if row is None:
            return "absent"
        return "deleted" if row.get("IsDeleted") else "live"

    def blob(self, who: Principal, obj: str, record_id: str, field: str) -> bytes:
        """Return the bytes of a base64 field; NOT_FOUND if row or field is unknown."""
        entity = self.object(who, obj)
        known = entity.find(field)
        if known is None or known.type != "base64":
            raise not_found()
        return bytes(self._rows.live(who, entity, record_id)[known.name] or b"")

    # -- DML: each call is a transaction unless it runs inside `transaction` ---------------------------
    def create(
        self, who: Principal, obj: str, rows: Sequence[Mapping[str, Any]], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Insert rows; a result for each, in order."""
        return self._dml.create(who, self.object(who, obj), rows, all_or_none=all_or_none)

    def update(
        self, who: Principal, obj: str, rows: Sequence[Mapping[str, Any]], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Update rows by their `Id`."""
        return self._dml.update(who, self.object(who, obj), rows, all_or_none=all_or_none)

    def upsert(
        self,
        who: Principal,
        obj: str,
        key_field: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool = True,
    ) -> list[SaveResult]:
        """Insert or update by an external id field (or `Id`)."""
        return self._dml.upsert(who, self.object(who, obj), key_field, rows, all_or_none=all_or_none)

    def delete(
        self, who: Principal, obj: str, ids_: Sequence[str], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Move rows to the recycle bin together with their children, which fire no trigger."""
        return self._dml.delete(who, self.object(who, obj), ids_, all_or_none=all_or_none, hard=False)

    def undelete(
        self, who: Principal, obj: str, ids_: Sequence[str], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Restore rows from the recycle bin, with the children deleted along with them."""
        return self._dml.undelete(who, self.object(who, obj), ids_, all_or_none=all_or_none)

    def hard_delete(
        self, who: Principal, obj: str, ids_: Sequence[str], *, all_or_none: bool = True
    ) -> list[SaveResult]:
        """Delete rows past the recycle bin (Bulk hardDelete); the delete trigger fires."""
        return self._dml.delete(who, self.object(who, obj), ids_, all_or_none=all_or_none, hard=True)

    def empty_bin(self, obj: str | None = None, ids_: Sequence[str] | None = None) -> int:
        """Purge deleted rows without firing a trigger; return how many."""
        return self.untriggered.purge(obj, ids_)

    def expire_bin(self, days: float = 15.0) -> int:
        """Purge rows deleted more than `days` ago, as Salesforce does automatically."""
        return self.untriggered.purge(None, None, self.clock.now() - timedelta(days=days))

    def merge(
        self,
        who: Principal,
        obj: str,
        master_id: str,
        loser_ids: Sequence[str],
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Merge one or two losers into the master (Account, Contact, Lead)."""
        self._merges.merge(who, self.object(who, obj), master_id, loser_ids, fields)

    def convert_lead(self, who: Principal, lead_id: str) -> str:
        """Convert a lead into an account and a contact; return the contact's id."""
        return self._merges.convert_lead(who, lead_id)

    def update_untriggered(self, who: Principal, obj: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Update rows as a mass edit does: checked, but without a trigger."""
        self.untriggered.update(who, self.object(who, obj), rows)

    @contextmanager
    def transaction(self, who: Principal, *, commit_after: float = 0.0) -> Iterator[None]:
        """Group DML into a commit, visible after `commit_after` org seconds but stamped now."""
        with self._transactions.scope(who, commit_after):
            yield

    def hold_transaction(self, seconds: float) -> None:
        """Hold `latestDateCovered` at now for `seconds`, as another tenant's long transaction does."""
        self._transactions.hold(self.admin, seconds)

    def settle(self) -> None:
        """Commit every late transaction that is due (reads and DML do so, too)."""
        self._transactions.settle()

    def on_commit(self, listener: Callable[[Commit], None]) -> None:
        """Call `listener` after each commit, in commit order."""
        self._transactions.on_commit(listener)

    # -- replication -----------------------------------------------------------------------------------
    def deleted(self, who: Principal, obj: str, start: datetime, end: datetime) -> dict[str, Any]:
        """Return the answer of `/sobjects/X/deleted` (REST API guide, sObject Get Deleted)."""
        self.settle()
        return self._replication.deleted(who, self.object(who, obj), start, end)

    def updated(self, who: Principal, obj: str, start: datetime, end: datetime) -> dict[str, Any]:
        """Return the answer of `/sobjects/X/updated` (REST API guide, sObject Get Updated)."""
        self.settle()
        return self._replication.updated(who, self.object(who, obj), start, end)

    def purge_delete_log(self, before: datetime) -> None:
        """Drop delete-log entries older than `before`."""
        self._replication.purge_log(before)

    # -- schema ----------------------------------------------------------------------------------------
    def add_object(self, obj: ObjectType) -> None:
        """Add an object, empty."""
        self._schema_changes.add_object(obj)

    def add_field(self, obj: str, field: Field) -> None:
        """Add a field; existing rows get its default."""
        self._schema_changes.add_field(obj, field)

    def remove_field(self, obj: str, field: str) -> None:
        """Remove a field with its values."""
        self._schema_changes.remove_field(obj, field)

    def change_field_type(self, obj: str, field: str, new: Field) -> None:
        """Replace a field's definition."""
        self._schema_changes.change_field_type(obj, field, new)

    def remove_object(self, obj: str) -> None:
        """Remove an object with its rows."""
        self._schema_changes.remove_object(obj)

    def add_package_objects(self) -> None:
        """Add the RTS package's objects that the org lacks."""
        for obj in package_objects():
            if self.schema.find(obj.name) is None:
                self._schema_changes.add_object(obj)

    # -- contents, for tests and the demo --------------------------------------------------------------
    def count(self, obj: str, *, deleted: bool = False) -> int:
        """Return the number of live rows, or of rows in the recycle bin."""
        self.settle()
        entity = self.schema[obj]
        where = f"WHERE IsDeleted = {int(deleted)}" if "IsDeleted" in entity.fields else ""
        return int(self.database.execute(f"SELECT count(*) FROM {quote(entity.name)} {where}").fetchone()[0])

    def snapshot(self, obj: str) -> Iterator[dict[str, Any]]:
        """Yield every live row by Id, REST-typed, with all fields except base64 and compound ones."""
        entity = self.schema[obj]
        names = [
            f.name for f in entity.fields.values() if f.type not in COMPOUND_TYPES and f.type != "base64"
        ]
        context = self._context(self.sync_user)
        select = plan_fields(context, entity, names, "1", "ORDER BY Id")
        result = QueryResult(select, self.database, self.schema, self.switches, eager=True)
        return (dict(zip(result.columns, row, strict=True)) for row in result.rows())
