"""How changes arrive: a small machine, as a table.

::

    awaiting_package   the package is not in the org (yet); Interval Sync keeps the mirror right
    real_time          pushes arrive; nothing is polled
    interval           pushes are silent, or not proven yet; Interval Sync reads the changes
    disabled           the package is switched off in the org (Disable_RTS__c); Interval Sync reads
    unreachable        Salesforce does not answer us, and no push says otherwise; reading on is the probe
    paused             an operator stopped the sync; pushes are still taken, nothing is applied
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Mode(StrEnum):
    """How changes arrive."""

    AWAITING_PACKAGE = "awaiting_package"
    REAL_TIME = "real_time"
    INTERVAL = "interval"
    DISABLED = "disabled"
    UNREACHABLE = "unreachable"
    PAUSED = "paused"


class Signal(StrEnum):
    """What was observed."""

    PUSH = "push received"
    SILENCE = "no push"
    RELAY_FAILED = "the relay does not pass changes on"
    PACKAGE_FOUND = "package found"
    PACKAGE_MISSING = "package not in the org"
    PACKAGE_DISABLED = "package disabled in the org"
    PACKAGE_ENABLED = "package enabled in the org"
    ORG_UNREACHABLE = "Salesforce does not answer"
    ORG_REACHABLE = "Salesforce answers again"
    PAUSE = "paused by an operator"
    RESUME = "resumed by an operator"


_A, _R, _I = Mode.AWAITING_PACKAGE, Mode.REAL_TIME, Mode.INTERVAL
_D, _U, _P = Mode.DISABLED, Mode.UNREACHABLE, Mode.PAUSED

_ORDER = (_A, _R, _I, _D, _U, _P)
_TABLE: dict[Signal, tuple[Mode, ...]] = {
    #                         from: _A  _R  _I  _D  _U  _P
    Signal.PUSH: (_R, _R, _R, _R, _R, _P),  # a push proves that push works, whatever else is known
    Signal.SILENCE: (_A, _I, _I, _D, _U, _P),
    Signal.RELAY_FAILED: (_I, _I, _I, _D, _U, _P),
    Signal.PACKAGE_FOUND: (_I, _R, _I, _D, _U, _P),  # real_time only on the evidence of a push
    Signal.PACKAGE_MISSING: (_A, _A, _A, _A, _U, _P),
    Signal.PACKAGE_DISABLED: (_D, _D, _D, _D, _U, _P),
    Signal.PACKAGE_ENABLED: (_I, _R, _I, _I, _U, _P),
    Signal.ORG_UNREACHABLE: (_U, _R, _U, _U, _U, _P),  # while pushes come, silence is the judge
    Signal.ORG_REACHABLE: (_A, _R, _I, _D, _I, _P),
    Signal.PAUSE: (_P, _P, _P, _P, _P, _P),
    Signal.RESUME: (_A, _R, _I, _D, _U, _I),
}

TRANSITIONS: Mapping[tuple[Mode, Signal], Mode] = {
    (mode, signal): target
    for signal, targets in _TABLE.items()
    for mode, target in zip(_ORDER, targets, strict=True)
}

READS_BY_INTERVAL = frozenset({Mode.AWAITING_PACKAGE, Mode.INTERVAL, Mode.DISABLED, Mode.UNREACHABLE})
"""Modes in which Interval Sync reads; in `unreachable` that is how an answer is noticed."""


def next_mode(mode: Mode, signal: Signal) -> Mode:
    """Return the mode after `signal`; every pair is in the table."""
    return TRANSITIONS[mode, signal]
