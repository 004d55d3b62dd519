"""Switches for behaviour that Salesforce leaves undocumented or that differs between orgs.

Tests set both sides of a switch, so that no client comes to rely on either.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(slots=True)
class OrgSwitches:
    """Behaviour of the org's data and queries.

    - `ids_in_order`: new ids always sort after the old ones (real ids come from several ranges).
    - `rollup`: effect of a child's change on the parent whose roll-up it moves: nothing visible
      ("silent"), a new SystemModstamp ("stamp"), or a save with triggers ("save").
    - `lookup_clear_moves_stamp`: clearing a lookup because its target was deleted stamps the row.
    - `reparent_moves_stamp`: a merge's re-parenting stamps the children.
    - `untriggered_edit_moves_stamp`: mass transfers, picklist renames and the like stamp the rows.
    - `new_field_default_moves_stamp`: adding a field with a default stamps the rows.
    - `field_removal_moves_stamp`: removing a field stamps the rows that held a value.
    - `cascades_in_deleted_log`: children deleted with their parent appear in `/deleted`.
    - `hard_deletes_in_deleted_log`: rows deleted past the recycle bin appear in `/deleted`.
    - `undelete_merge_loser`: undelete restores a merge loser from the recycle bin.
    - `empty_child_is_null`: a child subquery without rows is null (else an empty result object).
    - `polymorphic_type_is_name`: a polymorphic parent's `attributes.type` is "Name", not its object.
    - `date_functions_local`: DAY_ONLY() and the like use the user's time zone without convertTimezone().
    - `group_limit_code`: errorCode of the 2,000-group refusal.
    - `fields_standard_needs_limit`: FIELDS(STANDARD) requires LIMIT <= 200, too.
    - `most_columns`: most fields per statement before QUERY_TOO_COMPLICATED; 0: any number.
    - `bulk_refuses`: objects that the Bulk API does not serve (the set varies and is not documented).
    - `csv_header`: Bulk CSV header names as typed in the SELECT or canonical.
    - `csv_int_as_float`: Bulk CSV prints ints as `3.0`.
    - `csv_datetime`: Bulk CSV datetimes end in `Z` or `+0000`.
    """

    ids_in_order: bool = False
    rollup: Literal["silent", "stamp", "save"] = "save"
    lookup_clear_moves_stamp: bool = True
    reparent_moves_stamp: bool = True
    untriggered_edit_moves_stamp: bool = True
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


@dataclass(slots=True)
class ApiSwitches:
    """Behaviour of the HTTP APIs and of the Apex package.

    - `session_minutes`: sliding lifetime of a session (org setting; default 2 h, 15 min to 24 h).
    - `rotate_refresh_tokens`: refresh token rotation; reuse of an old token revokes its family.
    - `rotation_ends_session`: a rotation ends the sessions that the old token opened.
    - `sandbox_audience`: JWT assertions must name test.salesforce.com, not login.
    - `bad_client_status`: HTTP status of invalid_client_id and invalid_client.
    - `bad_token_status`: HTTP status of userinfo and the identity URL for a bad token.
    - `password_flow`, `soap_login`: login flows that are off in new orgs.
    - `soap_max_version`: newest API version with SOAP login().
    - `token_calls_count`: token calls use the daily API quota.
    - `versions_need_auth`: `/services/data` requires a session.
    - `limits_lag_s`: age of the numbers in `/limits` (documented: up to five minutes).
    - `hard_api_cap`: refuse calls beyond the daily quota at once (trial, Developer, sandbox).
    - `app_usage_in_header`: Sforce-Limit-Info carries the per-app part.
    - `page_rows`: largest page of a query; real orgs shrink pages of wide rows (1,000 is common).
    - `query_all_path`: nextRecordsUrl of a queryAll starts with `/queryAll/`.
    - `results_before_complete`: 400 INVALIDJOBSTATE, or 204 as older documents say.
    - `empty_result_has_header`: a Bulk result without rows has its header line.
    - `bulk_gzip_lists`: compress Bulk results for an Accept-Encoding list with gzip, not only for `gzip`.
    - `bulk_page_rows`: rows per page when the caller names no maxRecords.
    - `bulk_error_message`: a failed query job has errorMessage.
    - `bulk_queue_s`, `bulk_run_s`: seconds of a job in UploadComplete and, at least, in InProgress.
    - `class_with_job`: the error for deleting a class with a job: "pending", or as one for a class that
      something else uses ("referenced").
    - `deploy_poll_steps`: polls that a deployment answers with a state before the end.
    - `destructive_changes_delete_folders`: a manifest of destructive changes may name a folder.
    - `heartbeat_while_disabled`: the package still sends heartbeats when its settings disable it.
    - `heartbeat_by_relay`: a heartbeat takes the way of the changes; otherwise a scheduled job sends it.
    - `inactive_relay_user`: events of a relay whose user was deactivated get lost ("fails"), or its
      subscription is suspended ("suspends").
    - `modified_relay_resumes`: a modified relay resumes at once (documented, perhaps minutes later).
    - `old_subscriber_fields`: from version 66 on EventBusSubscriber still has Position and Tip.
    - `removed_tests_run`: a deployment can run a test that it deletes.
    - `push_retry_scale`: factor on the package's retry delays of 1, 2, 5, 10 and 10 seconds.
    - `push_timestamp_by_org_clock`: webhook-timestamp follows the org's clock, its jumps included.
    """

    session_minutes: float = 120.0
    rotate_refresh_tokens: bool = False
    rotation_ends_session: bool = True
    sandbox_audience: bool = False
    bad_client_status: int = 400
    bad_token_status: int = 403
    password_flow: bool = True
    soap_login: bool = True
    soap_max_version: float = 64.0
    token_calls_count: bool = False
    versions_need_auth: bool = False
    limits_lag_s: float = 0.0
    hard_api_cap: bool = True
    app_usage_in_header: bool = False
    page_rows: int = 2_000
    query_all_path: bool = False
    results_before_complete: int = 400
    empty_result_has_header: bool = True
    bulk_gzip_lists: bool = False
    bulk_page_rows: int = 100_000
    bulk_error_message: bool = True
    bulk_queue_s: float = 0.0
    bulk_run_s: float = 0.0
    class_with_job: Literal["pending", "referenced"] = "pending"
    deploy_poll_steps: int = 1
    destructive_changes_delete_folders: bool = True
    heartbeat_while_disabled: bool = True
    heartbeat_by_relay: bool = True
    inactive_relay_user: Literal["fails", "suspends"] = "fails"
    modified_relay_resumes: bool = True
    old_subscriber_fields: bool = False
    removed_tests_run: bool = False
    push_retry_scale: float = 1.0
    push_timestamp_by_org_clock: bool = False


def set_switches(target: OrgSwitches | ApiSwitches, values: dict[str, Any]) -> None:
    """Set switches by name, keeping each switch's type.

    Raises ValueError for an unknown switch or a value of the wrong type.
    """
    known = {field.name: type(getattr(target, field.name)) for field in dataclasses.fields(target)}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"unknown switch {name!r}; known: {', '.join(sorted(known))}")
        expected = known[name]
        if expected is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)  # noqa: PLW2901 - JSON writes 1.0 as 1
        if not isinstance(value, expected):
            raise ValueError(  # noqa: TRY004 - the caller answers 400 either way
                f"switch {name!r} takes {expected.__name__}, not {value!r}"
            )
        setattr(target, name, value)
