"""The slow tier stands on the end-to-end tests' rig, and breaks what is under it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is slow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
