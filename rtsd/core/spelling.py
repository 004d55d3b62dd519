"""The question of a message about an unknown name: "Did you mean …?"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def alike(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return those of `known`, closest first, that are spelled like `name`, whatever their case."""
    spelled = {each.lower(): each for each in known}
    return [spelled[found] for found in difflib.get_close_matches(name.lower(), spelled, n=most)]


def meant(name: str, known: Iterable[str]) -> str:
    """Return the question inside a sentence, ` (did you mean Email?)`; "" if none is alike."""
    found = alike(name, known)
    return f" (did you mean {found[0]}?)" if found else ""


def did_you_mean(unknown: str | Iterable[str], known: Iterable[str], most: int = 1) -> str:
    """Return the question as a sentence, ` Did you mean Email?`; "" if none is alike."""
    names, known = [unknown] if isinstance(unknown, str) else list(unknown), list(known)
    found = list(dict.fromkeys(each for name in names for each in alike(name, known, most)))
    return f" Did you mean {' or '.join(found)}?" if found else ""
