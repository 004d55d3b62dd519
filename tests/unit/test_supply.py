"""What rtsd is built from: every package pinned by hash, without known holes (docs/reliability.md 12, 41)."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from aiohttp import http_parser
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from rtsd.errors import ConfigError, StoreError
from rtsd.gateway.server import require_compiled_parser
from rtsd.store.sqlite.library import require_sound

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENTRY = re.compile(
    r"""(?mx)
    ^(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?P<marker>\ ;\ [\w.\ '!=<>()]+)?\ \\\n
    (?:\ {4}--hash=sha256:[0-9a-f]{64}\ \\\n)*
    \ {4}--hash=sha256:[0-9a-f]{64}\n
    """
)
"""A package of one version, with a hash for each of its files; nothing else, so no address either."""


def pinned(name: str) -> list[Version]:
    """The versions a package is locked at: several where markers tell them apart."""
    return [Version(entry["version"]) for entry in ENTRY.finditer(LOCK) if entry["name"] == name]


def wanted() -> list[Requirement]:
    """Everything pyproject.toml asks for: to run, to develop, to build; extras as well."""
    project = PROJECT["project"]
    lists = [
        project["dependencies"],
        *project.get("optional-dependencies", {}).values(),
        *PROJECT["dependency-groups"].values(),
        PROJECT["build-system"]["requires"],
    ]
    return [Requirement(text) for texts in lists for text in texts]


def test_every_package_is_locked_by_hash() -> None:
    """Packages, versions and hashes, and no line of another kind: no index, no host, no URL."""
    assert len(ENTRY.findall(LOCK)) > 20
    others = [line for line in ENTRY.sub("", LOCK).splitlines() if not line.startswith("#")]
    assert others == []
    assert "//" not in LOCK


@pytest.mark.parametrize("requirement", wanted(), ids=lambda requirement: requirement.name)
def test_the_lock_satisfies_the_project(requirement: Requirement) -> None:
    """Each dependency is locked at a version that pyproject.toml allows; `make lock` sees to it."""
    versions = pinned(canonicalize_name(requirement.name))
    assert versions
    assert all(version in requirement.specifier for version in versions)


def test_the_http_parser_is_one_without_known_holes() -> None:
    """From aiohttp 3.14.1 on, with its compiled parser; the other is refused at the start."""
    assert min(pinned("aiohttp")) >= Version("3.14.1")
    require_compiled_parser()
    with pytest.raises(ConfigError, match="compiled"):
        require_compiled_parser(http_parser.HttpRequestParserPy)


@pytest.mark.parametrize("version", [(3, 51, 3), (3, 53, 4), (3, 50, 7), (3, 44, 6), (4, 0, 0)])
def test_a_sound_sqlite_is_taken(version: tuple[int, ...]) -> None:
    """The one that is used now, and those that the bug was mended in."""
    require_sound()
    require_sound(version)


@pytest.mark.parametrize("version", [(3, 51, 2), (3, 50, 6), (3, 45, 0), (3, 44, 5), (3, 40, 1)])
def test_one_that_can_lose_commits_is_refused(version: tuple[int, ...]) -> None:
    """Before a byte is written (https://www.sqlite.org/wal.html#walresetbug)."""
    with pytest.raises(StoreError, match="lose commits"):
        require_sound(version)
