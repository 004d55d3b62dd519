"""Record ids: 15 case-sensitive characters, or 18 with a checksum that survives case folding."""

from __future__ import annotations

import re
from collections.abc import Iterator

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHAPE = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
_PAIRS = tuple(a + b for a in BASE62 for b in BASE62)


def _upper_bits(group: str) -> int:
    return sum(1 << place for place, char in enumerate(group) if "A" <= char <= "Z")


def checksum(id15: str) -> str:
    """Return the three letters that make the 18-character form (Salesforce Help, 18-character ids)."""
    return "".join(_CHECKSUM[_upper_bits(id15[at : at + 5])] for at in (0, 5, 10))


def to_18(record_id: str) -> str | None:
    """Return the 18-character form of a 15- or 18-character id, case restored; None for any other text."""
    if not _SHAPE.fullmatch(record_id):
        return None
    if len(record_id) == 15:
        return record_id + checksum(record_id)
    if checksum(record_id[:15]) == record_id[15:]:
        return record_id
    return _restore_case(record_id)


def _restore_case(id18: str) -> str | None:
    suffix = id18[15:].upper()
    if any(char not in _CHECKSUM for char in suffix):
        return None
    chars = []
    for place, char in enumerate(id18[:15]):
        upper = _CHECKSUM.index(suffix[place // 5]) >> (place % 5) & 1
        chars.append(char.upper() if upper else char.lower())
    restored = "".join(chars)
    return restored + suffix if checksum(restored) == suffix else None


def encode(prefix: str, instance: str, number: int) -> str:
    """Return the 18-character id of row `number` (below 62**9) of an object with `prefix`, on `instance`."""
    digits = ""
    for _ in range(9):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    id15 = prefix + instance + digits
    return id15 + checksum(id15)


def sequence(prefix: str, instance: str, start: int) -> Iterator[str]:
    """Yield 18-character ids in ascending order, beginning with row `start`; fast enough for millions."""
    block, offset = divmod(start, 3844)
    while True:
        high = encode(prefix, instance, block * 3844)[:13]
        start_sum = checksum(high + "00")[:2]
        base_bits = _upper_bits(high[10:13])
        for pair in _PAIRS[offset:]:
            bits = base_bits | ("A" <= pair[0] <= "Z") << 3 | ("A" <= pair[1] <= "Z") << 4
            yield f"{high}{pair}{start_sum}{_CHECKSUM[bits]}"
        block, offset = block + 1, 0
