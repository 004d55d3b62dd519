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


@dataclass(slots=True)
class EventSwitches:
    """Behaviour of the event bus, of change events and of the Pub/Sub API.

    - `late_purge_h`: hours for which events are kept beyond the documented 72.
    - `keepalive_s`: pause before the empty response on an idle stream (documented: up to 270 s).
    - `credit_timeout_s`: time that a stream may stay without credit (documented: 60 s).
    - `latest_after_s`: LATEST takes effect this long after the subscription.
    - `session_end_ends_streams`: a stream ends with its session (the guide says no, clients saw it).
    - `fetches_per_s`: requests per second on one stream before the protection ends it.
    - `most_streams`: streams that the org may have.
    - `single_topic_needs_selection`: the topic of an object that is not selected does not exist.
    - `name_may_be_text`: a person's Name is the third type of its union, as with person accounts.
    - `same_changes_merge`: the same change of several records is one event with several ids.
    - `untriggered_edits_raise_events`: mass edits that fire no trigger are captured.
    - `formulas_ride_along`: a create's event has the values of formulas.
    - `sends_diffs`: long text that changed little is sent as a diff.
    - `overflow_changes`: changed fields in a transaction beyond which only GAP_OVERFLOW is sent.
    - `bitmaps_lower_case`: hex digits of bitmaps in lower case.
    - `compound_by_parent_bit`: a compound whose parts are all listed is listed by its own bit.
    - `modified_date_listed`: changedFields list LastModifiedDate; otherwise a change of a compound alone has
      nested bitmaps only.
    - `commit_ms`: commitTimestamp has milliseconds.
    - `cdc_add_on`: more than five objects may be selected.
    - `push_sealed`: the package seals the documents that it publishes.
    - `push_part_chars`: characters of a part of them.
    """

    late_purge_h: float = 0.0
    keepalive_s: float = 60.0
    credit_timeout_s: float = 60.0
    latest_after_s: float = 0.0
    session_end_ends_streams: bool = True
    fetches_per_s: int = 50
    most_streams: int = 1_000
    single_topic_needs_selection: bool = True
    name_may_be_text: bool = False
    same_changes_merge: bool = True
    untriggered_edits_raise_events: bool = True
    formulas_ride_along: bool = True
    sends_diffs: bool = True
    overflow_changes: int = 100_000
    bitmaps_lower_case: bool = False
    compound_by_parent_bit: bool = False
    modified_date_listed: bool = True
    commit_ms: bool = True
    cdc_add_on: bool = False
    push_sealed: bool = False
    push_part_chars: int = 131_072


def set_switches(target: OrgSwitches | ApiSwitches | EventSwitches, values: dict[str, Any]) -> None:
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
