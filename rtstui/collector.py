"""The garbage collector, kept from scanning what lives as long as the dashboard.

A full collection of every view's widgets takes more than 100 ms, and keys wait for it.
"""

from __future__ import annotations

import gc

from textual._styles_cache import StylesCache


def settle() -> None:
    """Collect, and exempt what is left from later collections; while no dialog is open: it would never go."""
    forget_closed()
    gc.collect()
    gc.freeze()


def forget_closed() -> None:
    """Let go of closed widgets: a cache of Textual's keeps up to 1,024 with all their painted lines."""
    StylesCache.get_inner_outer.cache_clear()
