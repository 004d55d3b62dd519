"""Edits that fire no Apex trigger (Apex guide, Operations That Don't Invoke Triggers).

Each is a method of its own, so that a test says which hole in the push feed it means.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtssim.database import quote
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rtssim.interface import Principal
    from rtssim.records.rows import Rows
    from rtssim.schema.model import ObjectType


class QuietEdits:
    """Mass edits and housekeeping of the org, invisible to triggers; each is one commit."""

    def __init__(self, rows: Rows, by: Principal) -> None:
        self._rows = rows
        self._by = by

    def edit(self, obj: str, record_ids: Sequence[str], values: Mapping[str, Any]) -> int:
        """Write stored values into rows without a trigger; return how many rows changed."""
        entity = self._rows.schema[obj]
        found = self._rows.store.rows(entity, record_ids).values()
        return self._write(entity, [(row, values) for row in found if not row.get("IsDeleted")])

    def _write(self, obj: ObjectType, edits: Sequence[tuple[dict[str, Any], Mapping[str, Any]]]) -> int:
        stamped = self._rows.behaviour.quiet_edit_moves_stamp
        with self._rows.transactions.scope(self._by):
            for row, values in edits:
                self._rows.update(obj, row, values, fires=False, stamped=stamped)
        return len(edits)

    def update(self, who: Principal, obj: ObjectType, rows: Sequence[Mapping[str, Any]]) -> None:
        """Update rows named by `Id` with a client's values, checked but without a trigger."""
        stamped = self._rows.behaviour.quiet_edit_moves_stamp
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
        rows = self._rows.store.rows_where(obj, f"{quote(field)} = :old", {"old": old}).values()
        return self._write(obj, [(row, {field: new}) for row in rows])

    def mass_campaign_status(self, campaign_id: str, status: str) -> int:
        """Set the status of every member of a campaign (mass update of campaign members)."""
        members = self._rows.schema["CampaignMember"]
        rows = self._rows.store.rows_where(members, "CampaignId = :id", {"id": campaign_id}).values()
        return self._write(members, [(row, {"Status": status}) for row in rows])

    def cascade_owner(self, account_id: str, owner_id: str) -> int:
        """Hand an account's contacts and opportunities to a new owner, as a transfer of the account does."""
        moved = 0
        with self._rows.transactions.scope(self._by):
            for name in ("Contact", "Opportunity"):
                entity = self._rows.schema[name]
                condition = "AccountId = :id AND IsDeleted = 0"
                rows = self._rows.store.rows_where(entity, condition, {"id": account_id}).values()
                moved += self._write(entity, [(row, {"OwnerId": owner_id}) for row in rows])
        return moved

    def opportunity_product_edit(self, opportunity_id: str, amount: float) -> int:
        """Change an opportunity's amount as the edit of one of its products does."""
        return self.edit("Opportunity", [opportunity_id], {"Amount": amount})

    def purge(self, obj: str | None, record_ids: Sequence[str] | None, before: datetime | None = None) -> int:
        """Purge rows from the recycle bin: all, one object's, the named, or those deleted `before`."""
        query = "SELECT object, id, deleted_at FROM _bin WHERE ? IS NULL OR object = ?"
        entries = self._rows.store.execute(query, [obj, obj]).fetchall()
        wanted = None if record_ids is None else set(record_ids)
        limit = before.strftime("%Y-%m-%dT%H:%M:%S.000Z") if before is not None else "9999"
        purged = 0
        with self._rows.transactions.scope(self._by):
            for name, record_id, deleted_at in entries:
                if deleted_at < limit and (wanted is None or record_id in wanted):
                    self._purge(self._rows.schema[name], record_id)
                    purged += 1
        return purged

    def _purge(self, obj: ObjectType, record_id: str) -> None:
        row = self._rows.store.rows(obj, [record_id])[record_id]
        self._rows.remove(obj, row, op="purge", fires=False)
        self._rows.transactions.write("DELETE FROM _bin WHERE object = ? AND id = ?", [obj.name, record_id])
