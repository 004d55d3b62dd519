"""Bitmaps of fields in a change event's header (Pub/Sub API guide, Event Deserialization Considerations).

`0x…` indexes the schema's top-level fields, the header being field 0; `P-0x…` the parts of the compound at
position P. Bit 0 is the least significant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from rtssim.bus.event_schema import EventSchema


def bitmaps(
    schema: EventSchema, names: Collection[str], *, lower: bool = False, whole_by_parent: bool = False
) -> list[str]:
    """Return the bitmaps of fields, by the org's names; `whole_by_parent`: a full compound by its own bit."""
    top, nested = 0, []
    for place, event_field in enumerate(schema.fields, start=1):
        if event_field.field is not None:
            top |= (event_field.name in names) << place
            continue
        parts = [field.name in names for field in event_field.parts.values()]
        if whole_by_parent and all(parts):
            top |= 1 << place
        elif any(parts):
            nested.append(f"{place}-{_hex(sum(bit << n for n, bit in enumerate(parts)), lower=lower)}")
    return [_hex(top, lower=lower), *nested] if top else nested


def _hex(number: int, *, lower: bool) -> str:
    digits = f"{number:x}" if lower else f"{number:X}"
    return "0x" + ("0" + digits if len(digits) % 2 else digits)
