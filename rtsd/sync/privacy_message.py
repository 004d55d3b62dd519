"""What a change of `privacy`, `exclude` or `fields` does to stored values, in words without any value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtsd.core.field_rules import NOTHING, WHOLE, Rewriter
from rtsd.core.plural import plural

PLACES = {
    "rows": "row",
    "tombstones": "tombstone",
    "journal": "journal entry",
    "inbox": "waiting push",
    "outbox": "waiting delivery",
    "dead letters": "dead letter",
}
"""The places where values live, and what one of their entries is."""
MOST_NAMED = 6
"""Fields of a rule that are named; more are only counted."""
_WORDS = {
    "hash": "hashed",
    "last4": "cut to the last four characters",
    NOTHING: "left out",
    WHOLE: "stored whole again",
}


def applied(rewriter: Rewriter, fields: Sequence[str], counts: Mapping[str, int]) -> str:
    """Return what was done to the `fields` of an object; `counts` are of what was rewritten, by place."""
    rewritten = [plural(counts[place], noun) for place, noun in PLACES.items() if counts.get(place)]
    by = "to everything that an older rtsd had stored" if rewriter.before is None else "to everything stored"
    return (
        f"privacy, exclude and fields were applied {by}: {_rules(rewriter, fields)}. "
        f"Rewritten: {', '.join(rewritten) or 'nothing'}. {_again(rewriter, fields)}"
    )


def planned(rewriter: Rewriter, fields: Sequence[str]) -> str:
    """Return what the next start is going to do."""
    return (
        f"{_rules(rewriter, fields)}. The next start rewrites rows, tombstones, the journal's old values,"
        f" waiting pushes and deliveries, and dead letters; then the file. {_again(rewriter, fields)}"
    )


def _rules(rewriter: Rewriter, fields: Sequence[str]) -> str:
    said = []
    for rule, names in rewriter.changed(fields).items():
        named = ", ".join(names) if len(names) <= MOST_NAMED else plural(len(names), "field")
        said.append(f"{_WORDS[rule]}: {named}")
    return "; ".join(said) or "no field has another rule"


def _again(rewriter: Rewriter, fields: Sequence[str]) -> str:
    again = rewriter.to_read_again(fields)
    return f"To be read again: {', '.join(again)}." if again else "Nothing is read again."
