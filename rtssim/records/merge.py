"""Merge and lead conversion, the operations that change several records at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtssim.clock import stamp
from rtssim.interface import OrgError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtssim.interface import Principal
    from rtssim.records.dml import Dml
    from rtssim.records.rows import Rows
    from rtssim.schema.model import ObjectType

_MAX_LOSERS = 2


class Merges:
    """Merge as in the SOAP and Apex calls (SOAP API guide, merge())."""

    def __init__(self, rows: Rows, dml: Dml) -> None:
        self._rows = rows
        self._dml = dml

    def merge(
        self,
        who: Principal,
        obj: ObjectType,
        master_id: str,
        loser_ids: Sequence[str],
        fields: Mapping[str, Any] | None,
    ) -> None:
        """Merge losers into the master.

        The losers go to the recycle bin with MasterRecordId set and fire their delete trigger; the master is
        updated and fires its update trigger; the losers' children move to the master without a trigger.
        """
        if not obj.mergeable:
            raise OrgError(
                400, "INVALID_TYPE_FOR_OPERATION", f"entity type {obj.name} does not support merge"
            )
        if not 1 <= len(loser_ids) <= _MAX_LOSERS:
            raise OrgError(400, "INVALID_ARGUMENT_TYPE", "merge takes one or two records besides the master")
        transactions = self._rows.transactions
        with transactions.scope(who), transactions.savepoint():
            master = self._rows.live(who, obj, master_id)
            values = self._rows.checked(who, obj, fields or {}, creating=False)
            for loser_id in loser_ids:
                loser = self._rows.live(who, obj, loser_id)
                if loser["Id"] == master["Id"]:
                    raise OrgError(400, "INVALID_ID_FIELD", "cannot merge with self")
                self._reparent(obj, loser["Id"], master["Id"])
                self._dml.delete_row(obj, loser, loser["Id"], fires=True, master=master["Id"])
            self._rows.update(obj, self._rows.live(who, obj, master["Id"]), values)

    def _reparent(self, obj: ObjectType, loser_id: str, master_id: str) -> None:
        stamped = self._rows.switches.reparent_moves_stamp
        for child in self._rows.schema.children(obj):
            if child.field.name == "MasterRecordId":
                continue
            for row in self._dml.children(child, loser_id):
                parent = None if row["Id"] == master_id else master_id
                self._rows.update(child.object, row, {child.field.name: parent}, fires=False, stamped=stamped)

    def convert_lead(self, who: Principal, lead_id: str) -> str:
        """Convert a lead into an account and a contact; return the contact's id. All triggers fire."""
        schema = self._rows.schema
        transactions = self._rows.transactions
        with transactions.scope(who), transactions.savepoint():
            lead = self._rows.live(who, schema["Lead"], lead_id)
            if lead["IsConverted"]:
                raise OrgError(400, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
            account = {"Name": lead["Company"], "Phone": lead["Phone"], "Industry": lead["Industry"]}
            account_id = self._dml.create(who, schema["Account"], [account], all_or_none=True)[0].unwrap()
            person = {name: lead[name] for name in ("FirstName", "LastName", "Salutation", "Email", "Title")}
            contact = {**person, "AccountId": account_id}
            contact_id = self._dml.create(who, schema["Contact"], [contact], all_or_none=True)[0].unwrap()
            values = {
                "IsConverted": 1,
                "Status": "Closed - Converted",
                "ConvertedDate": stamp(transactions.current.stamped)[:10],
                "ConvertedAccountId": account_id,
                "ConvertedContactId": contact_id,
            }
            self._rows.update(schema["Lead"], lead, values)
        return contact_id
