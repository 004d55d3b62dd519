"""Names of standard Apex types and objects that an org may give to a class of its own.

The org's class is found before the standard one of the same name, unless the namespace is written (Apex
Developer Guide, Using the System Namespace and Using the Schema Namespace). The names that the compiler
reserves, such as String, Datetime and System, are left out: no class can have them.
"""

from __future__ import annotations

from pathlib import Path

SHADOWS = frozenset(Path(__file__).with_suffix(".txt").read_text().split())
"""The types of the namespaces System and Schema, and often mirrored objects."""


def shadowing_classes() -> dict[str, bytes]:
    """Return an empty class for each of the names, as files of a Salesforce DX project by path."""
    folder = "force-app/main/default/classes/"
    return {f"{folder}{name}.cls": _source(name).encode() for name in SHADOWS}


def _source(name: str) -> str:
    parent = " extends System.Exception" if name.endswith("Exception") else ""
    return f"public with sharing class {name}{parent} {{ }}"
