"""Images and containers by Podman, on a base from the distribution: no registry of images is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PACKAGES = "python3,python3-venv,ca-certificates"
SUITE = "bookworm"
ENOUGH_S = 580
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1000:4000")
"""Podman's own are above what some machines allow."""


def missing() -> str | None:
    """Return why no image can be built here, or None."""
    lacks = [name for name in ("podman", "runc", "debootstrap") if shutil.which(name) is None]
    return f"not installed: {', '.join(lacks)} (Debian's packages of these names)" if lacks else None


@dataclass
class Podman:
    """Podman with a storage of its own, so that nothing is left afterwards."""

    home: Path

    def run(self, *words: str) -> str:
        """Run one of its commands and return its output; AssertionError with its errors if it fails."""
        done = self._do(*words)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def succeeds(self, *words: str) -> bool:
        """Run one of its commands, and return whether it succeeded."""
        return self._do(*words).returncode == 0

    def output(self, *words: str) -> str:
        """Run one of its commands and return its output, whether it fails or not."""
        return self._do(*words).stdout

    def _do(self, *words: str) -> subprocess.CompletedProcess[str]:
        places = ("--root", str(self.home / "root"), "--runroot", str(self.home / "run"))
        return subprocess.run(
            ["podman", "--runtime", "runc", *places, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=ENOUGH_S,
        )

    def base(self, wheels: Path) -> str:
        """Make an image of the distribution with Python, whose pip has these wheels alone; its name."""
        root = self.home / "base"
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root)],
            check=True,
            capture_output=True,
            timeout=ENOUGH_S,
        )
        shutil.copytree(wheels, root / "wheels")
        (root / "etc" / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        archive = self.home / "base.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
        shutil.rmtree(root)
        self.run("import", "--quiet", str(archive), "localhost/base")
        archive.unlink()
        return "localhost/base"

    def build(self, base: str) -> str:
        """Build this checkout's image on a base; its name."""
        self.run(
            *("build", "--quiet", "--format", "docker", "--isolation", "chroot"),
            *("--build-arg", f"BASE={base}", "--tag", "localhost/rts", str(ROOT)),
        )
        return "localhost/rts"

    def start(self, name: str, *words: str) -> None:
        """Start a container in the background, on the machine's network, with volumes alone to write to."""
        self.run("run", "--detach", "--name", name, "--network", "host", "--read-only", *LIMITS, *words)

    def inspect(self, name: str) -> dict[str, Any]:
        """What Podman knows of a container or an image."""
        found: list[dict[str, Any]] = json.loads(self.run("inspect", name))
        return found[0]

    def close(self) -> None:
        """Remove every container, image and volume."""
        self._do("rm", "--all", "--force", "--time", "0")
        self._do("rmi", "--all", "--force")
        self._do("volume", "rm", "--all")
