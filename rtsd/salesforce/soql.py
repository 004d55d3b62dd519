"""Every SOQL statement of rtsd: quoting, conditions, keyset pages, counts, named queries.

No other module builds SOQL. Configured row filters (`where`) are inserted unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rtsd.core.instant import Millis, from_iso, soql_literal

MAX_FIELD_LIST = 50_000
"""Characters of a field list, which leaves room for conditions and the ids of a call."""

_ESCAPES = str.maketrans(
    {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)


def text(value: str) -> str:
    """Quote a string literal."""
    return f"'{value.translate(_ESCAPES)}'"


def moment(value: Millis | str) -> str:
    """A date-time literal (unquoted) in whole seconds, from milliseconds or ISO text."""
    return soql_literal(from_iso(value) if isinstance(value, str) else value)


def equals(field: str, value: str) -> str:
    """`field = 'value'`."""
    return f"{field} = {text(value)}"


def like(field: str, pattern: str) -> str:
    """`field LIKE 'pattern'`; the wildcards are `%` and `_`."""
    return f"{field} LIKE {text(pattern)}"


def one_of(field: str, values: Sequence[str]) -> str:
    """`field IN ('a','b')`."""
    return f"{field} IN ({','.join(map(text, values))})"


def since(field: str, start: Millis | str) -> str:
    """`field >= start`, for a date-time."""
    return f"{field} >= {moment(start)}"


def before(field: str, end: Millis | str) -> str:
    """`field < end`, for a date-time."""
    return f"{field} < {moment(end)}"


def between(field: str, start: Millis | str, end: Millis | str) -> str:
    """From `start` up to but excluding `end`."""
    return all_of(since(field, start), before(field, end))


def all_of(*conditions: str) -> str:
    """Join the non-empty conditions with AND, in parentheses as they may contain an OR."""
    present = [condition for condition in conditions if condition]
    return present[0] if len(present) == 1 else " AND ".join(f"({condition})" for condition in present)


def select(
    fields: Sequence[str],
    object_name: str,
    where: str = "",
    *,
    group_by: str = "",
    order_by: str = "",
    limit: int = 0,
) -> str:
    """Build a SELECT; empty optional clauses are omitted."""
    statement = f"SELECT {','.join(fields)} FROM {object_name}"  # noqa: S608  SOQL, whose values `text` quotes
    if where:
        statement += f" WHERE {where}"
    if group_by:
        statement += f" GROUP BY {group_by}"
    if order_by:
        statement += f" ORDER BY {order_by}"
    if limit:
        statement += f" LIMIT {limit}"
    return statement


def count(object_name: str, where: str = "") -> str:
    """The number of rows, returned as the page's total."""
    return select(("COUNT()",), object_name, where)


def by_day(object_name: str, stamp: str, where: str) -> str:
    """Counts `n` by the day `d` (UTC) of a stamp, with each day's newest stamp `m`."""
    day = f"DAY_ONLY({stamp})"
    return select((f"{day} d", "COUNT(Id) n", f"MAX({stamp}) m"), object_name, where, group_by=day)


def by_hour(object_name: str, stamp: str, where: str) -> str:
    """Counts `n` by the hour of the day `h` (UTC) of a stamp."""
    hour = f"HOUR_IN_DAY({stamp})"
    return select((f"{hour} h", "COUNT(Id) n"), object_name, where, group_by=hour)


def earliest(object_name: str, stamp: str, where: str) -> str:
    """The earliest stamp, `m`."""
    return select((f"MIN({stamp}) m",), object_name, where)


ORGANIZATION = ("Id", "Name", "OrganizationType", "IsSandbox")
"""What rtsd reads of the Organization record; all but the Id may be hidden from the sync user."""


def organization(fields: Sequence[str] = ORGANIZATION) -> str:
    """The Organization record."""
    return select(fields, "Organization")


def user_named(username: str) -> str:
    """The user with that username."""
    return select(("Id", "Username"), "User", equals("Username", username))


def user(user_id: str) -> str:
    """A user: username, and whether they are active."""
    return select(("Username", "IsActive"), "User", equals("Id", user_id))


def event_subscription(apex_trigger: str, positions: Sequence[str]) -> str:
    """The subscription of an Apex trigger to a platform event (Object Reference, EventBusSubscriber)."""
    fields = ("Status", "LastError", "Retries", *positions)
    return select(fields, "EventBusSubscriber", equals("Name", apex_trigger))


def event_subscriber_config(apex_trigger: str) -> str:
    """The configured user of such a subscription (Tooling API)."""
    return select(("UserId",), "PlatformEventSubscriberConfig", equals("DeveloperName", apex_trigger))


def view_all_data(user_id: str) -> str:
    """View All Data in each of a user's permission sets, which include the profile."""
    fields = ("PermissionSet.PermissionsViewAllData",)
    return select(fields, "PermissionSetAssignment", equals("AssigneeId", user_id))


def permission_sets(names: Sequence[str]) -> str:
    """The permission sets with these names."""
    return select(("Id", "Name"), "PermissionSet", one_of("Name", names))


def object_reads(permission_set_ids: Sequence[str], name: str) -> str:
    """Which of some permission sets grant Read on an object."""
    where = all_of(
        one_of("ParentId", permission_set_ids), equals("SobjectType", name), "PermissionsRead = true"
    )
    return select(("Id", "ParentId"), "ObjectPermissions", where)


def custom_permission(name: str) -> str:
    """The custom permission with that name."""
    return select(("Id",), "CustomPermission", equals("DeveloperName", name))


def assignments(permission_set_ids: Sequence[str]) -> str:
    """The users to whom permission sets are assigned."""
    fields = ("Id", "AssigneeId", "PermissionSetId")
    return select(fields, "PermissionSetAssignment", one_of("PermissionSetId", permission_set_ids))


def report_folder(name: str) -> str:
    """The folder of reports with that name."""
    where = all_of(equals("DeveloperName", name), equals("Type", "Report"))
    return select(("Id",), "Folder", where)


def scheduled_jobs(pattern: str) -> str:
    """The scheduled jobs whose name is like `pattern`."""
    return select(("Id", "State", "CronJobDetail.Name"), "CronTrigger", like("CronJobDetail.Name", pattern))


def remote_site(name: str) -> str:
    """The remote site with that name (Tooling API)."""
    return select(("EndpointUrl", "IsActive"), "RemoteProxy", equals("SiteName", name))


def apex_code(kind: str, pattern: str) -> str:
    """The `ApexClass` or `ApexTrigger` rows whose name is like `pattern` (Tooling API)."""
    return select(("Name", "Body", "Status"), kind, like("Name", pattern))


def apex_class_body(name: str) -> str:
    """The source of an Apex class (Tooling API)."""
    return select(("Body",), "ApexClass", equals("Name", name))


def active_apex_triggers(pattern: str) -> str:
    """The active Apex triggers whose name is like `pattern` (Tooling API)."""
    active = all_of(like("Name", pattern), equals("Status", "Active"))
    return select(("Name", "TableEnumOrId", "Body"), "ApexTrigger", active)


def select_list(soql: str) -> list[str]:
    """The names between SELECT and FROM as written, for statements without functions and subqueries."""
    head = soql.split(None, 1)[1]
    names = head[: _from_at(head)]
    return [name.strip() for name in names.split(",")]


def _from_at(head: str) -> int:
    position = head.lower().replace("\n", " ").find(" from ")
    if position < 0:
        raise ValueError("the statement has no FROM")
    return position


def keyset_order(stamp: str = "") -> str:
    """The order of keyset pages: by (stamp, Id), or by Id alone."""
    return f"{stamp},Id" if stamp else "Id"


def after_id(last_id: str) -> str:
    """The keyset condition for paging by Id; empty for the first page."""
    return f"Id > {text(last_id)}" if last_id else ""


def after_stamp(field: str, stamp: Millis | str, last_id: str) -> str:
    """The keyset condition for paging by (stamp, Id).

    Stamps have whole seconds, so a bulk edit gives thousands of rows the same one; paging by the stamp alone
    would lose or repeat rows (not documented; supaglue-labs/supaglue#532).
    """
    at = moment(stamp)
    return f"{field} > {at} OR ({field} = {at} AND Id > {text(last_id)})"


def column_chunks(
    fields: Sequence[str], *, max_characters: int, always: Sequence[str]
) -> Iterator[list[str]]:
    """Split a field list into chunks of at most `max_characters` characters.

    The `always` fields lead every chunk: Id joins the rows, and the stamp reveals a row that changed between
    two chunks.
    """
    lead = [name for name in always if name in fields]
    base = sum(len(name) + 1 for name in lead)
    chunk, size = list(lead), base
    for name in fields:
        if name in lead:
            continue
        if size + len(name) + 1 > max_characters and len(chunk) > len(lead):
            yield chunk
            chunk, size = list(lead), base
        chunk.append(name)
        size += len(name) + 1
    yield chunk
