"""Files that appear under their name once they are whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rtsd.errors import StorageFull, StorageUnwritable, UsageError


def require_free(file: Path, *, force: bool) -> None:
    """Require a name that nothing has, or that may be replaced. Raises UsageError."""
    if not file.parent.is_dir():
        raise UsageError(f"{file.parent} is not a directory.", "Create it, or name another file.")
    if file.exists() and not force:
        raise UsageError(f"{file} exists.", "Name another file, or replace it with --force.")


@contextmanager
def part_of(file: Path) -> Iterator[Path]:
    """Create an empty file beside `file`, for its owner only, and remove it at the end."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    with translated(part):
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, file: Path, *, force: bool) -> None:
    """Give a whole copy its name; another file of that name is replaced only with --force."""
    with translated(file):
        if force:
            part.replace(file)
        else:
            _rename_to_free(part, file)
        directory = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _rename_to_free(part: Path, file: Path) -> None:
    try:
        os.link(part, file)  # like a rename that never replaces
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        part.rename(file)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Translate errors of the operating system into ours."""
    try:
        yield
    except FileExistsError as error:
        raise UsageError(f"{path} exists.", "Name another file, or replace it with --force.") from error
    except OSError as error:
        kind = StorageFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else StorageUnwritable
        raise kind(
            f"cannot write {path}: {error.strerror}.", "Free some space, or name another file."
        ) from error
