"""What the scenarios' changes did: the names of their records, and the values before and after."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rtsd.control.protocol import Event

NAMES = (
    "Ana Oliveira",
    "Wei Zhang",
    "Acme Logistics GmbH & Co. KG",
    "Call back",
    "Cold chain 2026",
    "INV-204",
)
EDITS: dict[str, tuple[Any, Any]] = {
    "Email": ("ana@old.example", "ana@acme.example"),
    "Phone": ("+351 21 000", None),
    "Status": ("Open", "Working"),
    "StageName": ("Proposal", "Closed Won"),
    "Amount": (12_000, 15_000),
    "CloseDate": ("2026-03-31", "2026-03-01"),
    "Title": ("Logistics", "Head of Logistics, Warehousing and Cold Chain"),
}


def event_values(entries: Iterable[Event]) -> dict[str, Any]:
    """The values of the applied changes among these entries."""
    return {
        "values": [
            {
                "seq": entry.seq,
                "name": NAMES[entry.seq % len(NAMES)],
                "by": "005Dn00000Kk1PnIAJ",
                "changed": {
                    name: dict(zip(("from", "to"), EDITS[name], strict=True)) for name in entry.changed or ()
                },
            }
            for entry in entries
            if entry.type == "change" and entry.outcome == "applied"
        ]
    }
