"""The documentation as a site, built once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site as `make site` builds it; a warning of the builder fails the tests."""
    if not Path(sys.executable).with_name("zensical").exists():
        pytest.skip("zensical, which builds the site, is not installed: make .venv/.ready installs the lock")
    from website.__main__ import build

    place = tmp_path_factory.mktemp("site")
    try:
        return Site(build(place / "made"))
    except subprocess.CalledProcessError as error:
        pytest.fail(f"the site was not built, or with a warning: {error}")
