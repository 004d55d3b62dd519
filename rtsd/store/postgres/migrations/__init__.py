"""Migrations of rtsd's own tables; `Tables` applies them in one transaction, and notes the version."""

from __future__ import annotations

from importlib.resources import files

from rtsd.store.migrations import Migrations

MIGRATIONS = Migrations(files("rtsd.store.postgres.migrations"))
