"""`python -m rtsd`, and the `rtsd` script."""

from __future__ import annotations

import sys

from rtsd.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
