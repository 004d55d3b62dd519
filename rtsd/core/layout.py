"""Layouts: how other products name the columns of an object, for views over the mirror (contract section 9).

- `heroku_connect`: names in lower case, and the columns that Heroku Connect adds itself
  (https://devcenter.heroku.com/articles/heroku-connect-database-tables, System Columns).
- `fivetran`: names in snake case, as the sources of the package `dbt_salesforce` have them
  (https://github.com/fivetran/dbt_salesforce, models/salesforce/staging/src_salesforce.yml).
- `history`: every version of every record, with its time: slowly changing dimensions of type 2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from hashlib import sha256

from rtsd.core.schema import ObjectSchema


class Layout(StrEnum):
    """The layouts, by their keys in `[store.views]`."""

    HEROKU_CONNECT = "heroku_connect"
    FIVETRAN = "fivetran"
    HISTORY = "history"


NUMBER = "=number"
"""The source of a column that is the row's stored integer; other sources are fields, in lower case."""
SEEN = "=seen"
"""When the row was observed."""
TRUE = "=true"
FALSE = "=false"
SYNCED = "=synced"
"""The word by which Heroku Connect says that the row came from Salesforce."""
NOTHING = "=nothing"

FACTS = (
    "valid_from",
    "valid_to",
    "version_source",
    "version_op",
    "ended_by",
    "merged_into",
    "version_unknown",
)
"""What a version has beside its fields. No field is named so: the names of custom ones end in `__c`."""
MOMENTS = FACTS[:2]
"""Those of them that are moments; the others are texts."""

_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])|_+")


def snake(name: str) -> str:
    """Return a name in snake case: `Product2Id` and `My_Size__c` as `product_2_id` and `my_size_c`."""
    return _BOUNDARY.sub("_", name).lower()


def view_name(layout: Layout, object_name: str, taken: Collection[str] = ()) -> str:
    """Return the name of an object's view; `taken` are those of other objects."""
    name = snake(object_name) if layout is Layout.FIVETRAN else object_name.lower()
    return _apart(name, object_name, taken)


def view_columns(layout: Layout, schema: ObjectSchema, known: Mapping[str, str]) -> dict[str, str]:
    """Return the source of each column of an object's view, in order.

    `known` are those that the view has: they stay, also if their field was removed, and new ones come last.
    """
    if layout is Layout.HISTORY:
        fields = {field.name: field.name.lower() for field in schema.fields}
        return {**known, "Id": "id", **{fact: f"={fact}" for fact in FACTS}, **fields}
    lower = [field.name.lower() for field in schema.fields]
    if layout is Layout.HEROKU_CONNECT:
        columns = {"id": NUMBER, "sfid": "id", **{name: name for name in lower if name != "id"}}
        columns.setdefault("isdeleted", FALSE)
        return {**known, **columns, "_hc_lastop": SYNCED, "_hc_err": NOTHING}
    columns, names = dict(known), {source: name for name, source in known.items()}
    for field in schema.fields:
        name = names.get(field.name.lower()) or _apart(snake(field.name), field.name, columns)
        columns[name] = field.name.lower()
    return {**columns, "_fivetran_synced": SEEN, "_fivetran_active": TRUE, "_fivetran_deleted": FALSE}


def _apart(name: str, whole: str, taken: Collection[str]) -> str:
    """Return a name that nobody has: two names may be the same in snake case."""
    return name if name not in taken else f"{name}_{sha256(whole.lower().encode()).hexdigest()[:8]}"
