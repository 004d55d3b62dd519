"""Single rows within a transaction: reads, checks, writes, and a record of each change."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rtssim import ids
from rtssim.clock import stamp
from rtssim.database import insert_sql, quote
from rtssim.interface import Op, OrgError, Principal, RowChange, entity_is_deleted, malformed_id, not_found
from rtssim.records.field_values import row_json, to_stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtssim.database import OrgDatabase
    from rtssim.records.transactions import Transactions
    from rtssim.schema.model import Field, ObjectType, Schema
    from rtssim.switches import OrgSwitches

Row = dict[str, Any]
_INSTANCES = ("Qx", "5e")  # new rows take ids from both; the second sorts before the first


class Rows:
    """Reads and writes rows; every write belongs to the open transaction and becomes a `RowChange`."""

    def __init__(
        self,
        schema: Schema,
        database: OrgDatabase,
        transactions: Transactions,
        switches: OrgSwitches,
        seed: int,
    ) -> None:
        self.schema = schema
        self.database = database
        self.transactions = transactions
        self.switches = switches
        self.instances = tuple(f"{instance}{ids.BASE62[seed % 62]}" for instance in _INSTANCES)
        self._used: dict[str, int] = {}

    # -- ids -------------------------------------------------------------------------------------------
    def reserve(self, obj: ObjectType, count: int) -> int:
        """Reserve `count` consecutive ids of the first range and return the number of the first."""
        first = self._used.get(obj.name, 0) + 1
        self._used[obj.name] = first + count - 1
        return first

    def new_id(self, obj: ObjectType) -> str:
        """Return an id for a new row."""
        number = self.reserve(obj, 1)
        second = not self.switches.ids_in_order and number % 3 == 0
        return ids.encode(obj.prefix, self.instances[second], number)

    # -- reading ---------------------------------------------------------------------------------------
    def live(self, who: Principal, obj: ObjectType, record_id: str) -> Row:
        """Return a visible row; NOT_FOUND, ENTITY_IS_DELETED or MALFORMED_ID otherwise."""
        full = ids.to_18(record_id)
        if full is None or full[:3] != obj.prefix:
            raise malformed_id(obj.name, record_id)
        row = self.database.rows(obj, [full]).get(full)
        if row is None or not self.visible(who, obj, row):
            raise not_found()
        if row.get("IsDeleted"):
            raise entity_is_deleted()
        return row

    @staticmethod
    def visible(who: Principal, obj: ObjectType, row: Mapping[str, Any]) -> bool:
        """Return True if `who` may see the row."""
        if row["Id"] in who.hidden_records or obj.name in who.hidden_objects:
            return False
        return who.view_all or "OwnerId" not in obj.fields or row["OwnerId"] == who.user_id

    # -- checking --------------------------------------------------------------------------------------
    def checked(self, who: Principal, obj: ObjectType, data: Mapping[str, Any], *, creating: bool) -> Row:
        """Return a client's values in stored form; OrgError for the first value that Salesforce refuses."""
        values: Row = {}
        for name, value in data.items():
            if name == "attributes" or (name == "Id" and not creating):
                continue
            field = self._writable(who, obj, name, creating=creating)
            stored = to_stored(self.schema, field, value)
            if stored is None and not field.nillable:
                raise self._missing([field.name])
            if field.type == "reference" and stored is not None:
                self._target(field, stored)
            values[field.name] = stored
        return values

    def _writable(self, who: Principal, obj: ObjectType, name: str, *, creating: bool) -> Field:
        field = obj.find(name)
        if field is None or (obj.name, field.name) in who.hidden_fields:
            raise OrgError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {obj.name}")
        if field.createable if creating else field.updateable:
            return field
        raise OrgError(
            400,
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: {field.name}. Please check the security settings of this field"
            " and verify that it is read/write for your profile or permission set.",
            (field.name,),
        )

    def _target(self, field: Field, record_id: str) -> None:
        target = self.schema.by_prefix(record_id)
        row = self.database.rows(target, [record_id]).get(record_id) if target is not None else None
        if row is None or row.get("IsDeleted"):
            raise OrgError(400, "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", (field.name,))

    @staticmethod
    def _missing(names: list[str]) -> OrgError:
        return OrgError(
            400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(names)}]", names
        )

    def require(self, obj: ObjectType, row: Row) -> None:
        """Raise REQUIRED_FIELD_MISSING for a new row without its required fields."""
        missing = [f.name for f in obj.fields.values() if f.required and row.get(f.name) is None]
        if missing:
            raise self._missing(missing)

    def unique(self, obj: ObjectType, row: Row, changed: Mapping[str, Any]) -> None:
        """Raise DUPLICATE_VALUE if another row has the value of a unique field."""
        for name in changed:
            field = obj.fields[name]
            if not field.unique or row[name] is None:
                continue
            found = self.find(obj, field, row[name]) - {row["Id"]}
            if found:
                message = f"duplicate value found: {name} duplicates value on record with id: {min(found)}"
                raise OrgError(400, "DUPLICATE_VALUE", message, (name,))

    def find(self, obj: ObjectType, field: Field, value: Any) -> set[str]:
        """Return ids of live rows with that value, text compared as in SOQL."""
        collate = "" if field.case_sensitive or field.type == "id" else " COLLATE NOCASE"
        condition = f"{quote(field.name)} = :value{collate}"
        if "IsDeleted" in obj.fields:
            condition += " AND IsDeleted = 0"
        return set(self.database.rows_where(obj, condition, {"value": value}))

    # -- writing ---------------------------------------------------------------------------------------
    def insert(self, obj: ObjectType, row: Row) -> None:
        """Insert a complete row."""
        self.transactions.write(insert_sql(obj.name, row), list(row.values()))
        self._record(obj, "create", None, row, fires=True)

    def update(
        self,
        obj: ObjectType,
        old: Row,
        values: Mapping[str, Any],
        *,
        op: Op = "update",
        fires: bool = True,
        stamped: bool = True,
        modified: bool = True,
        master: str | None = None,
    ) -> Row:
        """Write `values` into a row and return it.

        `stamped` moves SystemModstamp, `modified` LastModified* too.
        """
        self.transactions.lock(obj.name, old["Id"])
        new = {**old, **values, **self._audit(obj, stamped=stamped, modified=modified)}
        changed = [name for name in new if name not in old or new[name] != old[name] or name in values]
        if changed:
            listed = ", ".join(f"{quote(name)} = ?" for name in changed)
            sql = f"UPDATE {quote(obj.name)} SET {listed} WHERE Id = ?"
            self.transactions.write(sql, [*(new[name] for name in changed), old["Id"]])
        self._record(obj, op, old, new, fires=fires, master=master)
        return new

    def remove(self, obj: ObjectType, old: Row, *, op: Op, fires: bool) -> None:
        """Remove a row from its table permanently."""
        self.transactions.lock(obj.name, old["Id"])
        self.transactions.write(f"DELETE FROM {quote(obj.name)} WHERE Id = ?", [old["Id"]])
        self._record(obj, op, old, None, fires=fires)

    def _audit(self, obj: ObjectType, *, stamped: bool, modified: bool) -> Row:
        transaction = self.transactions.current
        now, values = stamp(transaction.stamped), {}
        if stamped and "SystemModstamp" in obj.fields:
            values["SystemModstamp"] = now
        if stamped and modified and "LastModifiedDate" in obj.fields:
            values |= {"LastModifiedDate": now, "LastModifiedById": transaction.who.user_id}
        return values

    def _record(
        self,
        obj: ObjectType,
        op: Op,
        old: Row | None,
        new: Row | None,
        *,
        fires: bool,
        master: str | None = None,
    ) -> None:
        row = new or old or {}
        stamped = row.get("SystemModstamp") if new is not None else None
        moment = datetime.fromisoformat(stamped) if stamped else self.transactions.current.stamped
        self.transactions.record(
            RowChange(
                object=obj.name,
                id=row["Id"],
                op=op,
                old=row_json(obj, old) if old is not None else None,
                new=row_json(obj, new) if new is not None else None,
                modstamp=moment,
                master_id=master,
                fires_trigger=fires and obj.triggerable,
            )
        )
