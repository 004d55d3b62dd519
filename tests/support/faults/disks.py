"""File systems of their own, to be filled up or cut off; a test that can't have one is skipped."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
"""What is not on the disk by now is lost, the file system's own journal included."""


class LoopDisk:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, image: Path, place: Path) -> None:
        self._image = image
        self.place = place

    def cut(self) -> None:
        """Cut the power: from now on every write fails, and none that was not synced ever happened."""
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def restore(self) -> None:
        """Power is back: mount again, which replays the file system's journal."""
        _run("umount", str(self.place))
        _run("mount", "-o", "loop", str(self._image), str(self.place))


@contextmanager
def loop_disk(directory: Path) -> Iterator[LoopDisk]:
    """Mount a fresh ext4 file system."""
    image, place = directory / "image", directory / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(256 << 20)
    try:
        _run("mkfs.ext4", "-q", "-F", str(image))
        _run("mount", "-o", "loop", str(image), str(place))
    except (OSError, subprocess.CalledProcessError) as problem:
        pytest.skip(f"no loop mounts here, so the power can't be cut: {problem}")
    try:
        yield LoopDisk(image, place)
    finally:
        _run("umount", str(place))


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """Mount a tmpfs of `size` at `place`."""
    place.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError) as problem:
        pytest.skip(f"no tmpfs can be mounted here, so no disk can be full: {problem}")
    try:
        yield
    finally:
        _run("umount", str(place))


def resize(place: Path, size: str) -> None:
    """Give a small disk another size."""
    _run("mount", "-o", f"remount,size={size}", str(place))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
