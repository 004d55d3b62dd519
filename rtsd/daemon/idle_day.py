"""The estimate of a day without changes, for a configuration and the schedule in force."""

from __future__ import annotations

from collections.abc import Sequence

from rtsd.config import Config
from rtsd.sync.estimate import IdleDay, ObjectSize, Periods, idle_day
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.sync.schedule import Schedule


def estimated(
    config: Config, schedule: Schedule, sizes: Sequence[tuple[MirroredObject, ObjectSize]]
) -> IdleDay:
    """Return the API calls of a day without changes, of objects of these sizes."""
    return idle_day(
        sizes,
        Periods(
            interval=schedule.interval,
            describe=config.sync.describe_every,
            fingerprint=schedule.fingerprint_every,
            formula=schedule.formula_refresh,
            silence=schedule.silence_after,
        ),
        with_package=config.is_pushed_to,
        is_awaited=config.is_package_awaited,
        is_subscribed=config.is_subscribed,
    )
