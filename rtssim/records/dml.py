"""DML: create, update, upsert, delete, undelete and hard delete, with their effects on child rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from rtssim import ids
from rtssim.clock import stamp
from rtssim.database import quote
from rtssim.interface import OrgError, SaveResult
from rtssim.schema.crm_objects import ROLLUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtssim.interface import Principal
    from rtssim.records.org_rules import OrgRules
    from rtssim.records.rows import Row, Rows
    from rtssim.schema.model import Child, ObjectType


_Item = TypeVar("_Item", Mapping[str, Any], str)


class _RollBack(Exception):
    pass


class Dml:
    """DML on rows. A call opens a transaction unless it runs within one; results keep the request's order."""

    def __init__(self, rows: Rows, rules: OrgRules) -> None:
        self._rows = rows
        self._rules = rules
        self._schema = rows.schema
        self._transactions = rows.transactions
        self._rolled: set[str] = set()

    # -- calls -----------------------------------------------------------------------------------------
    def create(
        self, who: Principal, obj: ObjectType, rows: Sequence[Mapping[str, Any]], *, all_or_none: bool
    ) -> list[SaveResult]:
        """Insert rows."""
        if not obj.createable:
            raise _unsupported(obj, "create")
        return self._each(who, rows, lambda data: self._create(who, obj, data), all_or_none=all_or_none)

    def update(
        self, who: Principal, obj: ObjectType, rows: Sequence[Mapping[str, Any]], *, all_or_none: bool
    ) -> list[SaveResult]:
        """Update rows named by `Id`."""
        if not obj.updateable:
            raise _unsupported(obj, "update")
        return self._each(who, rows, lambda data: self._update(who, obj, data), all_or_none=all_or_none)

    def upsert(
        self,
        who: Principal,
        obj: ObjectType,
        key: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        all_or_none: bool,
    ) -> list[SaveResult]:
        """Insert or update by an external id field, or by `Id`."""
        field = obj.find(key)
        if field is None or not (field.external_id or field.type == "id"):
            message = f"Provided external ID field does not exist or is not accessible: {key}"
            raise OrgError(404, "NOT_FOUND", message)

        def save(data: Mapping[str, Any]) -> SaveResult:
            value = data.get(field.name)
            if value in (None, ""):
                raise OrgError(400, "MISSING_ARGUMENT", f"{field.name} not specified", (field.name,))
            if field.type == "id":
                return self._update(who, obj, data)
            found = self._rows.find(obj, field, value)
            if len(found) > 1:
                message = f"{field.name}: more than one record found for external id field: {sorted(found)}"
                raise OrgError(300, "DUPLICATE_EXTERNAL_ID", message, (field.name,))
            if not found:
                return self._create(who, obj, data)
            return self._update(who, obj, {**data, "Id": found.pop()})

        return self._each(who, rows, save, all_or_none=all_or_none)

    def delete(
        self, who: Principal, obj: ObjectType, record_ids: Sequence[str], *, all_or_none: bool, hard: bool
    ) -> list[SaveResult]:
        """Delete rows: into the recycle bin, or past it if `hard` or if the object has none."""
        if not obj.deletable:
            raise _unsupported(obj, "delete")

        def delete(record_id: str) -> SaveResult:
            row = self._rows.live(who, obj, record_id)
            self.delete_row(obj, row, row["Id"], fires=True, hard=hard)
            return SaveResult(row["Id"], success=True)

        return self._each(who, record_ids, delete, all_or_none=all_or_none)

    def undelete(
        self, who: Principal, obj: ObjectType, record_ids: Sequence[str], *, all_or_none: bool
    ) -> list[SaveResult]:
        """Restore rows from the recycle bin, with the children deleted along with them."""
        return self._each(
            who, record_ids, lambda record_id: self._undelete(obj, record_id), all_or_none=all_or_none
        )

    def _each(
        self,
        who: Principal,
        items: Sequence[_Item],
        action: Callable[[_Item], SaveResult],
        *,
        all_or_none: bool,
    ) -> list[SaveResult]:
        results: list[SaveResult] = []
        with self._transactions.scope(who):
            try:
                with self._transactions.savepoint():
                    results = [self._attempt(item, action) for item in items]
                    if all_or_none:
                        _require_success(results)
                    self._save_rolled_up()
            except _RollBack:
                self._rolled.clear()
                return [_rolled_back(result) for result in results]
        return results

    def _attempt(self, item: _Item, action: Callable[[_Item], SaveResult]) -> SaveResult:
        try:
            with self._transactions.savepoint():
                return action(item)
        except OrgError as error:
            record_id = item.get("Id") if isinstance(item, Mapping) else item
            return SaveResult(str(record_id) if record_id else None, success=False, errors=(error,))

    # -- single rows -----------------------------------------------------------------------------------
    def _create(self, who: Principal, obj: ObjectType, data: Mapping[str, Any]) -> SaveResult:
        values = self._rows.checked(who, obj, data, creating=True)
        self._rules.check(obj.name, values)
        row: Row = {field.name: self._default(who, field.default) for field in obj.stored_fields()}
        row.update(values)
        row["Id"] = self._rows.new_id(obj)
        self._rows.require(obj, row)
        self._complete(who, obj, row)
        self._rows.unique(obj, row, values)
        self._rows.insert(obj, row)
        self._roll_up(obj, None, row)
        return SaveResult(row["Id"], success=True, created=True)

    @staticmethod
    def _default(who: Principal, default: object) -> object:
        if default == "$user":
            return who.user_id
        return int(default) if isinstance(default, bool) else default

    def _complete(self, who: Principal, obj: ObjectType, row: Row) -> None:
        now = stamp(self._transactions.current.stamped)
        for name, value in (
            ("CreatedDate", now),
            ("CreatedById", who.user_id),
            ("LastModifiedDate", now),
            ("LastModifiedById", who.user_id),
            ("SystemModstamp", now),
        ):
            if name in obj.fields:
                row[name] = value
        if "BodyLength" in obj.fields:
            row["BodyLength"] = len(row["Body"] or b"")
        name_field = obj.name_field()
        if name_field is not None and name_field.auto_number:
            row["Name"] = f"{obj.prefix.upper()}-{self._rows.reserve(obj, 0):06d}"

    def _update(self, who: Principal, obj: ObjectType, data: Mapping[str, Any]) -> SaveResult:
        old = self._rows.live(who, obj, str(data.get("Id", "")))
        values = self._rows.checked(who, obj, data, creating=False)
        self._rules.check(obj.name, {**old, **values})
        self._rows.unique(obj, {**old, **values}, values)
        new = self._rows.update(obj, old, values)
        self._roll_up(obj, old, new)
        return SaveResult(old["Id"], success=True)

    def delete_row(
        self,
        obj: ObjectType,
        row: Row,
        root: str,
        *,
        fires: bool,
        hard: bool = False,
        master: str | None = None,
    ) -> None:
        """Delete a row with its children, which fire no trigger; `root` is the row that the user deleted."""
        now = stamp(self._transactions.current.stamped)
        if self._is_logged(fires=fires, hard=hard):
            self._transactions.write(
                "INSERT OR IGNORE INTO _deleted VALUES (?, ?, ?)", [obj.name, row["Id"], now]
            )
        if hard or not obj.undeletable:
            self._rows.remove(obj, row, op="delete", fires=fires)
            new = None
        else:
            values = {"IsDeleted": 1} | ({"MasterRecordId": master} if master else {})
            new = self._rows.update(obj, row, values, op="delete", fires=fires, master=master)
            self._transactions.write("INSERT INTO _bin VALUES (?, ?, ?, ?)", [obj.name, row["Id"], now, root])
        for child in self._schema.children(obj):
            self._orphan(child, row["Id"], root, hard=hard)
        self._roll_up(obj, row, new)

    def _is_logged(self, *, fires: bool, hard: bool) -> bool:
        switches = self._rows.switches
        cascades = fires or switches.cascades_in_deleted_log
        return cascades and (not hard or switches.hard_deletes_in_deleted_log)

    def children(self, child: Child, parent_id: str) -> list[Row]:
        """Return live rows that refer to the parent."""
        condition = f"{quote(child.field.name)} = :parent"
        if "IsDeleted" in child.object.fields:
            condition += " AND IsDeleted = 0"
        return list(self._rows.database.rows_where(child.object, condition, {"parent": parent_id}).values())

    def _orphan(self, child: Child, parent_id: str, root: str, *, hard: bool) -> None:
        if child.field.on_delete == "keep":
            return
        for row in self.children(child, parent_id):
            if child.field.on_delete == "cascade":
                self.delete_row(child.object, row, root, fires=False, hard=hard)
            else:
                stamped = self._rows.switches.lookup_clear_moves_stamp
                self._rows.update(child.object, row, {child.field.name: None}, fires=False, stamped=stamped)

    def _undelete(self, obj: ObjectType, record_id: str) -> SaveResult:
        full = ids.to_18(record_id) or record_id
        query = "SELECT root FROM _bin WHERE object = ? AND id = ?"
        found = self._rows.database.execute(query, [obj.name, full]).fetchone()
        row = self._rows.database.rows(obj, [full]).get(full)
        merged = (
            row is not None and row.get("MasterRecordId") and not self._rows.switches.undelete_merge_loser
        )
        if found is None or row is None or found[0] != full or merged:
            raise OrgError(400, "UNDELETE_FAILED", "Entity is not in the recycle bin", ("Id",))
        query = "SELECT object, id FROM _bin WHERE root = ? ORDER BY id = root DESC, object, id"
        for name, deleted_id in self._rows.database.execute(query, [full]).fetchall():
            self._restore(self._schema[name], deleted_id, fires=deleted_id == full)
        return SaveResult(full, success=True)

    def _restore(self, obj: ObjectType, record_id: str, *, fires: bool) -> None:
        row = self._rows.database.rows(obj, [record_id])[record_id]
        values = {"IsDeleted": 0} | ({"MasterRecordId": None} if row.get("MasterRecordId") else {})
        new = self._rows.update(obj, row, values, op="undelete", fires=fires)
        self._transactions.write("DELETE FROM _bin WHERE object = ? AND id = ?", [obj.name, record_id])
        self._transactions.write("DELETE FROM _deleted WHERE object = ? AND id = ?", [obj.name, record_id])
        if fires:  # children return with the parent that shows their roll-up
            self._roll_up(obj, row, new)

    # -- roll-ups --------------------------------------------------------------------------------------
    def _roll_up(self, obj: ObjectType, old: Row | None, new: Row | None) -> None:
        if obj.name not in ROLLUPS or self._rows.switches.rollup == "silent":
            return
        reference, summed = ROLLUPS[obj.name]
        before, after = old or {}, new or {}
        if any(before.get(name) != after.get(name) for name in summed):
            self._rolled |= {row[reference] for row in (before, after) if row.get(reference)}

    def _save_rolled_up(self) -> None:
        rolled, self._rolled = sorted(self._rolled), set()
        saved = self._rows.switches.rollup == "save"
        account = self._schema["Account"]
        for row in self._rows.database.rows(account, rolled).values():
            if not row["IsDeleted"]:
                self._rows.update(account, row, {}, fires=saved, modified=saved)


def _require_success(results: Sequence[SaveResult]) -> None:
    if not all(result.success for result in results):
        raise _RollBack


def _rolled_back(result: SaveResult) -> SaveResult:
    if result.errors:
        return result
    message = (
        "Record rolled back because not all records were valid and the request was using AllOrNone header"
    )
    error = OrgError(400, "ALL_OR_NONE_OPERATION_ROLLED_BACK", message)
    return SaveResult(result.id, success=False, errors=(error,))


def _unsupported(obj: ObjectType, verb: str) -> OrgError:
    return OrgError(400, "INVALID_TYPE_FOR_OPERATION", f"entity type {obj.name} does not support {verb}")
