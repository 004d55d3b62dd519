"""Edits that fire no Apex trigger (Apex Developer Guide, Operations That Don't Invoke Triggers).

Each kind is a method, so that a test names the gap in pushes that it covers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtssim.clock import stamp
from rtssim.database import quote
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rtssim.interface import Principal
    from rtssim.records.rows import Rows
    from rtssim.schema.model import ObjectType


class UntriggeredEdits:
    """Mass edits and purges that triggers do not see; each is a commit."""

    def __init__(self, rows: Rows, by: Principal) -> None:
        self._rows = rows
        self._by = by

    def edit(self, obj: str, record_ids: Sequence[str], values: Mapping[str, Any]) -> int:
        """Write stored values into rows; return how many rows changed."""
        entity = self._rows.schema[obj]
        found = self._rows.database.rows(entity, record_ids).values()
        return self._write(entity, [(row, values) for row in found if not row.get("IsDeleted")])

    def _write(self, obj: ObjectType, edits: Sequence[tuple[dict[str, Any], Mapping[str, Any]]]) -> int:
        stamped = self._rows.switches.untriggered_edit_moves_stamp
        with self._rows.transactions.scope(self._by):
            for row, values in edits:
                self._rows.update(obj, row, values, fires=False, stamped=stamped)
        return len(edits)

    def update(self, who: Principal, obj: ObjectType, rows: Sequence[Mapping[str, Any]]) -> None:
        """Update rows by `Id` with a client's values, checked as in an ordinary update."""
        stamped = self._rows.switches.untriggered_edit_moves_stamp
        with self._rows.transactions.scope(who), self._rows.transactions.savepoint():
            for data in rows:
                old = self._rows.live(who, obj, str(data.get("Id", "")))
                values = self._rows.checked(who, obj, data, creating=False)
                self._rows.update(obj, old, values, fires=False, stamped=stamped)

    def mass_address_update(self, obj: str, field: str, old: str, new: str) -> int:
        """Replace a country or state in every address (Setup, State and Country data)."""
        return self._replace(self._rows.schema[obj], field, old, new)

    def rename_picklist_value(self, obj: str, field: str, old: str, new: str) -> int:
        """Rename a picklist value in the definition and in every row."""
        entity = self._rows.schema[obj]
        known = entity.fields[field]
        if old not in known.picklist:
            raise OrgError(400, "INVALID_FIELD", f"{obj}.{field} has no value '{old}'", (field,))
        values = tuple(new if value == old else value for value in known.picklist)
        entity.fields[field] = replace(known, picklist=values)
        entity.changed = self._rows.schema.changed = self._rows.transactions.now()
        return self._replace(entity, field, old, new)

    def _replace(self, obj: ObjectType, field: str, old: str, new: str) -> int:
        rows = self._rows.database.rows_where(obj, f"{quote(field)} = :old", {"old": old}).values()
        return self._write(obj, [(row, {field: new}) for row in rows])

    def mass_campaign_status(self, campaign_id: str, status: str) -> int:
        """Set the status of every member of a campaign (mass update of campaign members)."""
        members = self._rows.schema["CampaignMember"]
        rows = self._rows.database.rows_where(members, "CampaignId = :id", {"id": campaign_id}).values()
        return self._write(members, [(row, {"Status": status}) for row in rows])

    def cascade_owner(self, account_id: str, owner_id: str) -> int:
        """Transfer an account's contacts and opportunities to a new owner along with the account."""
        moved = 0
        with self._rows.transactions.scope(self._by):
            for name in ("Contact", "Opportunity"):
                entity = self._rows.schema[name]
                condition = "AccountId = :id AND IsDeleted = 0"
                rows = self._rows.database.rows_where(entity, condition, {"id": account_id}).values()
                moved += self._write(entity, [(row, {"OwnerId": owner_id}) for row in rows])
        return moved

    def opportunity_product_edit(self, opportunity_id: str, amount: float) -> int:
        """Change an opportunity's amount as an edit of its products does."""
        return self.edit("Opportunity", [opportunity_id], {"Amount": amount})

    def purge(self, obj: str | None, record_ids: Sequence[str] | None, before: datetime | None = None) -> int:
        """Purge the recycle bin: all of it, an object's rows, rows by id, or rows deleted before a moment."""
        query = "SELECT object, id, deleted_at FROM _bin WHERE ? IS NULL OR object = ?"
        entries = self._rows.database.execute(query, [obj, obj]).fetchall()
        chosen = None if record_ids is None else set(record_ids)
        limit = stamp(before) if before is not None else "9999"
        purged = 0
        with self._rows.transactions.scope(self._by):
            for name, record_id, deleted_at in entries:
                if deleted_at < limit and (chosen is None or record_id in chosen):
                    self._purge(self._rows.schema[name], record_id)
                    purged += 1
        return purged

    def _purge(self, obj: ObjectType, record_id: str) -> None:
        row = self._rows.database.rows(obj, [record_id])[record_id]
        self._rows.remove(obj, row, op="purge", fires=False)
        self._rows.transactions.write("DELETE FROM _bin WHERE object = ? AND id = ?", [obj.name, record_id])
