"""What rtsd stands on: versions without known holes, pinned by hash (docs/reliability.md 12, 41)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from aiohttp import http_parser

from rtsd.errors import ConfigError, StoreError
from rtsd.gateway.server import require_compiled_parser
from rtsd.store.sqlite import require_sound

LOCK = tomllib.loads((Path(__file__).parents[2] / "uv.lock").read_text())


def test_every_package_is_locked_by_hash() -> None:
    """From the public index alone, each file with its SHA-256."""
    packages = [one for one in LOCK["package"] if "registry" in one["source"]]
    assert len(packages) > 20
    for package in packages:
        assert package["source"] == {"registry": "https://pypi.org/simple"}
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        assert all(file["hash"].startswith("sha256:") for file in files)


def test_the_http_parser_is_one_without_known_holes() -> None:
    """From aiohttp 3.14.1 on, with its compiled parser; the other is refused at the start."""
    (aiohttp,) = [one for one in LOCK["package"] if one["name"] == "aiohttp"]
    assert tuple(map(int, aiohttp["version"].split("."))) >= (3, 14, 1)
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
