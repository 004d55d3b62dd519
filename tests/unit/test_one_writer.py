"""What has one writer is written by nobody else."""

from __future__ import annotations

import ast
from pathlib import Path

import rtsd

HOME = Path(rtsd.__file__).parent

MOVES_STATES = {"core/object_state.py", "store/objects.py", "sync/catalog.py", "sync/object_states.py"}
"""The table, the method that follows it, a restart, and everything else."""


def sources() -> dict[str, ast.Module]:
    """The modules, by their place in the package."""
    return {
        str(path.relative_to(HOME)): ast.parse(path.read_text())
        for path in HOME.rglob("*.py")
        if "force-app" not in path.parts
    }


def test_object_states_are_moved_in_one_place() -> None:
    """Nobody else names an event, and a state is set by the table alone."""
    naming, setting = set(), set()
    for place, module in sources().items():
        for node in ast.walk(module):
            if isinstance(node, ast.Name) and node.id == "ObjectEvent":
                naming.add(place)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"replace", "StoredObject"}:
                setting |= {place for keyword in node.keywords if keyword.arg == "state"}
    assert naming == MOVES_STATES
    assert setting == {"store/objects.py"}


def test_nothing_is_set_by_a_name_at_run_time() -> None:
    """`setattr` hides what is assigned, from mypy and from readers."""
    calls = {
        place
        for place, module in sources().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr"
    }
    assert calls == set()
