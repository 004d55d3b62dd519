"""Switches for what Salesforce documents nowhere: each is one named choice of the simulated org."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Behaviour:
    """What the org does where no source says; tests set both sides, so that no client leans on one.

    - `ids_in_order`: new ids always sort behind the old ones (real ids come from several ranges).
    - `rollup`: what a child's change does to the parent whose roll-up it moves: nothing visible
      ("silent"), a new SystemModstamp ("stamp"), or a save with triggers ("save").
    - `lookup_clear_moves_stamp`: clearing a lookup because its target was deleted stamps the row.
    - `reparent_moves_stamp`: a merge's re-parenting stamps the children.
    - `quiet_edit_moves_stamp`: mass transfers, picklist renames and the like stamp the rows.
    - `new_field_default_moves_stamp`: adding a field with a default stamps the rows.
    - `field_removal_moves_stamp`: removing a field stamps the rows that held a value.
    - `cascades_in_deleted_log`: children deleted with their parent appear in `/deleted`.
    - `hard_deletes_in_deleted_log`: rows deleted past the recycle bin appear in `/deleted`.
    - `undelete_merge_loser`: a merge loser can be taken out of the recycle bin.
    - `empty_child_is_null`: a child subquery without rows is null (else an empty result object).
    - `polymorphic_type_is_name`: a polymorphic parent's `attributes.type` is "Name", not its object.
    - `date_functions_local`: DAY_ONLY() and the like use the user's time zone without convertTimezone().
    - `group_limit_code`: errorCode of the 2,000-group refusal.
    - `fields_standard_needs_limit`: FIELDS(STANDARD) too must have LIMIT <= 200.
    - `most_columns`: fields of one statement beyond which it is QUERY_TOO_COMPLICATED; 0: any number.
    - `bulk_refuses`: objects the Bulk API does not serve (which ones varies and is nowhere listed).
    - `csv_header`: Bulk CSV header names as typed in the SELECT or canonical.
    - `csv_int_as_float`: Bulk CSV prints ints as `3.0`.
    - `csv_datetime`: Bulk CSV datetimes end in `Z` or `+0000`.
    """

    ids_in_order: bool = False
    rollup: Literal["silent", "stamp", "save"] = "save"
    lookup_clear_moves_stamp: bool = True
    reparent_moves_stamp: bool = True
    quiet_edit_moves_stamp: bool = True
    new_field_default_moves_stamp: bool = False
    field_removal_moves_stamp: bool = True
    cascades_in_deleted_log: bool = True
    hard_deletes_in_deleted_log: bool = True
    undelete_merge_loser: bool = True
    empty_child_is_null: bool = True
    polymorphic_type_is_name: bool = False
    date_functions_local: bool = False
    group_limit_code: str = "EXCEEDED_ID_LIMIT"
    fields_standard_needs_limit: bool = False
    most_columns: int = 0
    bulk_refuses: frozenset[str] = frozenset({"CronTrigger"})
    csv_header: Literal["typed", "canonical"] = "canonical"
    csv_int_as_float: bool = False
    csv_datetime: Literal["Z", "+0000"] = "Z"
