"""What a daemon could say, at one fixed moment: the worlds the fake daemon and the pictures show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from rtsd.control.protocol import (
    DeadLetter,
    Drift,
    ErrorEntry,
    Event,
    Freshness,
    Gateway,
    Inbox,
    Limit,
    Object,
    Org,
    Package,
    Problem,
    Push,
    Quota,
    Relay,
    Status,
    Store,
    Stream,
)

NOW = datetime(2026, 3, 1, 12, 34, 56, 250_000, tzinfo=UTC)


def ago(seconds: float) -> str:
    """A moment before NOW, as the wire writes it."""
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _object(name: str, rows: int, *, seconds: float = 2, **more: object) -> Object:
    fields: dict[str, Any] = {
        "name": name,
        "state": "live",
        "arrives_by": "push",
        "rows": rows,
        "expected_rows": rows,
        "counted_at": ago(3_900),
        "proven_at": ago(3_900),
        "progress": 1.0,
        "as_of": ago(seconds),
        "freshness_ms": Freshness(p50=310, p95=640, p99=900),
        "drift": Drift(checked_at=ago(3_900)),
        "last_change_at": ago(seconds),
    }
    return Object(**(fields | more))


def live() -> Status:
    """All is well and busy."""
    return Status(
        version="1.0.0",
        started_at=ago(14 * 86_400 + 11_000),
        now=ago(0),
        org=Org(id="00Dxx0000001gERMAA", name="Acme", sandbox=False, user="sync@acme.com", reachable=True),
        gateway=Gateway(listen="127.0.0.1:8787", public_url="https://rts.acme.com"),
        mode="real_time",
        mode_since=ago(86_400),
        mode_reason="push received",
        fresh_goal_ms=60_000,
        fresh_now_ms=400,
        package=Package(state="installed", version="1.0.0", disabled=False, last_seen_at=ago(20)),
        push=Push(last_at=ago(1), quiet="live", received_24h=88_120),
        objects=[
            _object("Account", 48_210, seconds=61),
            _object("Contact", 663_102),
            _object("Lead", 120_554, seconds=14),
            _object("Opportunity", 31_077, seconds=200),
            _object("Task", 1_204_118, seconds=5),
            _object("Invoice_Line__c", 9_310, seconds=4_000, freshness_ms=None),
        ],
        quota=Quota(
            limits=[
                Limit(
                    name="DailyApiRequests",
                    max=100_000,
                    remaining=38_600,
                    used_by_us=412,
                    used_by_others=60_988,
                    stops_at=80_000,
                ),
                Limit(
                    name="DailyBulkApiBatches",
                    max=15_000,
                    remaining=13_110,
                    used_by_us=67,
                    used_by_others=1_823,
                ),
                Limit(name="DailyBulkV2QueryJobs", max=10_000, remaining=9_991, used_by_us=9, stops_at=8_000),
                Limit(
                    name="DailyAsyncApexExecutions",
                    max=250_000,
                    remaining=209_790,
                    used_by_others=40_210,
                ),
            ],
            calls_24h={"audit": 184, "interval": 96, "repair": 21, "describe": 105, "package": 6},
        ),
        store=Store(
            engine="sqlite", place="/var/lib/rtsd/mirror.db", bytes=3_412_000_000, id="9f2ac0d1e4b57a68"
        ),
        dead_letters=3,
        errors_24h=17,
        last_seq=400,
    )


def healthy() -> Status:
    """Live, and nothing at all to complain about."""
    status = live()
    status.dead_letters = status.errors_24h = 0
    return status


def loading() -> Status:
    """The first full read."""
    status = healthy()
    status.mode, status.push = "interval", Push()
    status.mode_since = ago(95)
    status.mode_reason = "package found"
    names = ("Account", "Contact", "Lead", "Opportunity")
    shares = (1.0, 0.62, 0.031, 0.0)
    status.objects = [
        _object("Account", 48_210)
        if share == 1.0
        else Object(
            name=name,
            state="loading" if share else "pending",
            rows=int(663_102 * share),
            expected_rows=663_102,
            progress=share,
            rate=8_400.0 if share else None,
            eta_s=663_102 * (1 - share) / 8_400 if share else None,
        )
        for name, share in zip(names, shares, strict=True)
    ]
    return status


def silent() -> Status:
    """Pushes stay away; Interval Sync reads."""
    status = live()
    status.mode, status.mode_since, status.mode_reason = "interval", ago(64), "no push for 30m"
    status.push.last_at, status.push.quiet, status.push.missed_24h = ago(1_920), "silent", 12
    status.objects[4].drift = Drift(checked_at=ago(300), missing=2, stale=10)
    return status


def empty() -> Status:
    """Just started: nothing configured, nothing known."""
    return Status(version="1.0.0", started_at=ago(3), now=ago(0))


def error() -> Status:
    """The org cannot be reached and objects are broken."""
    status = live()
    status.mode, status.mode_since = "unreachable", ago(600)
    status.org.reachable, status.org.error = False, "INVALID_SESSION_ID: Session expired or invalid"
    status.objects[1].state, status.objects[1].error = (
        "error",
        "describe failed: INVALID_TYPE, retry at 12:38",
    )
    status.objects[2].state, status.objects[2].expected_rows = "incomplete", 120_560
    return status


def deferred() -> Status:
    """The quota is nearly gone; the rest waits."""
    status = loading()
    status.objects[3].state = "deferred"
    status.objects[3].error = "its audit needs 410 of 120 calls above the reserve; again at 00:00"
    status.quota.limits[0].remaining = 2_900
    status.quota.limits[0].used_by_others = 96_688
    status.quota.limits[0].exhausted_at = ago(-3_600)
    status.quota.limits[1].remaining, status.quota.limits[1].used_by_others = 4_100, 10_833
    return status


def paused() -> Status:
    """An operator stopped the sync, and one object on its own."""
    status = live()
    status.mode, status.mode_since, status.mode_reason = "paused", ago(40), "paused by an operator"
    status.inbox = Inbox(pending=1_212)
    for item in status.objects:
        item.state = "paused"
    return status


def drifting() -> Status:
    """The last object of eight has rows that a check found wrong and that are not repaired."""
    status = healthy()
    status.objects += [_object("Campaign", 403), _object("Case", 5_120)]
    status.objects[7].drift = Drift(checked_at=ago(40), missing=20, stale=7, orphaned=1)
    status.objects[7].expected_rows, status.objects[7].counted_at = 5_139, ago(40)
    return status


def repaired() -> Status:
    """The same, after the repair; nothing is used of the limits by anybody else."""
    status = drifting()
    found = status.objects[7].drift
    assert found is not None
    found.repaired = True
    for limit in status.quota.limits:
        limit.used_by_others, limit.remaining = 0, limit.max - limit.used_by_us
    return status


def relay_down() -> Status:
    """The package's relay is suspended in the org: Interval Sync reads the changes."""
    status = healthy()
    status.mode, status.mode_since = "interval", ago(900)
    suspended = Problem(
        what="The relay (RTS_Change_Event) is suspended: nothing is pushed.",
        do="Setup → Platform Events → RTS Change → Manage: Resume, or run `rtsd package deploy`.",
    )
    status.push = Push(last_at=ago(1_000), quiet="silent", quiet_proof=suspended.what)
    status.package.relay = Relay(status="Suspended", proven_at=ago(1_000), problem=suspended)
    status.package.problems = [suspended]
    return status


def _streamed(channel: str, topic: str) -> Status:
    """Changes come by a subscription, and no port is open."""
    status = healthy()
    status.gateway = Gateway()
    status.push.channel = channel
    status.push.stream = Stream(
        topic=topic,
        connected=True,
        since=ago(18_000),
        last_event_at=ago(1),
        replay_age_s=1,
        deliveries_24h=12_410,
        deliveries_ours_24h=12_400,
        deliveries_max=25_000,
        deliveries_stop_at=20_000,
    )
    status.quota.limits.append(
        Limit(
            name="DailyDeliveredPlatformEvents",
            max=25_000,
            remaining=12_590,
            used_by_us=12_400,
            used_by_others=10,
            exhausted_at=ago(-30_000),
            stops_at=20_000,
        )
    )
    return status


def captured() -> Status:
    """Change Data Capture brings all objects but one, which is not selected; there is no package."""
    status = _streamed("cdc", "/data/ChangeEvents")
    status.package = Package()
    status.objects[5].arrives_by = "interval"
    return status


def stream_down() -> Status:
    """The package's events are not read: rtsd leaves the last deliveries to others."""
    status = _streamed("stream", "/event/RTS_Push__e")
    status.mode, status.mode_since, status.mode_reason = "interval", ago(600), "no push for 30m"
    stream, limit = status.push.stream, status.quota.limits[-1]
    assert stream is not None
    stream.connected, stream.since, stream.last_event_at = False, ago(200_000), ago(200_000)
    stream.replay_age_s, stream.deliveries_24h, stream.deliveries_ours_24h = 200_000, 20_010, 20_000
    stream.error = (
        "20,010 of the org's 25,000 event deliveries of 24 hours are used, rtsd stops at 20,000 "
        "([push] deliveries). Changes are read by Interval Sync until enough of them expire."
    )
    limit.remaining, limit.used_by_us = 4_990, 20_000
    status.push.last_at = ago(200_000)
    for item in status.objects:
        item.arrives_by = "interval"
    return status


SCENARIOS: dict[str, Callable[[], Status]] = {
    "live": live,
    "healthy": healthy,
    "loading": loading,
    "silent": silent,
    "relay_down": relay_down,
    "empty": empty,
    "error": error,
    "deferred": deferred,
    "paused": paused,
    "captured": captured,
    "stream_down": stream_down,
    "drifting": drifting,
    "repaired": repaired,
}

_OBJECTS = ("Contact", "Lead", "Account", "Task", "Opportunity", "Invoice_Line__c")
_PREFIX = ("003", "00Q", "001", "00T", "006", "a01")
_FIELDS = (["Email"], ["Email", "Phone"], ["Status"], None, ["StageName", "Amount", "CloseDate"], ["Title"])


def event(seq: int, seconds: float = 0.0) -> Event:
    """The entry with this number; the same number is always the same entry."""
    which = seq % 6
    at = ago(seconds)
    if seq % 41 == 7:
        return Event(
            seq=seq,
            at=at,
            type="error",
            object="Contact",
            message="UNABLE_TO_LOCK_ROW: unable to obtain exclusive access",
        )
    if seq % 53 == 11:
        return Event(
            seq=seq,
            at=at,
            type="audit",
            object=_OBJECTS[which],
            message="fingerprint: 0 missing, 0 stale, 0 orphaned",
        )
    source = "interval" if seq % 17 == 3 else "repair" if seq % 29 == 5 else "push"
    return Event(
        seq=seq,
        at=at,
        type="change",
        object=_OBJECTS[which],
        id=f"{_PREFIX[which]}Dn{seq:08d}AaQAI"[:18],
        op="delete" if seq % 23 == 1 else "create" if which == 3 else "update",
        source=source,
        outcome="stale" if seq % 31 == 2 else "applied",
        changed=_FIELDS[which] if seq % 23 != 1 else None,
        latency_ms=180 + seq * 37 % 700,
    )


def events(first: int, last: int, per_second: float = 40.0) -> list[Event]:
    """Entries `first` to `last`, the last of them now."""
    return [event(seq, (last - seq) / per_second) for seq in range(first, last + 1)]


def error_log() -> list[ErrorEntry]:
    """The error log of `live`."""
    lock = "unable to obtain exclusive access to this record or 1 records: 001Dn00000Cc3Xv"
    return [
        ErrorEntry(seq=381, at=ago(60), error="UNABLE_TO_LOCK_ROW", message=lock, object="Contact", count=14),
        ErrorEntry(
            seq=212,
            at=ago(360),
            error="INVALID_FIELD",
            message="No such column 'Foo__c' on entity 'Task'",
            object="Task",
            count=2,
        ),
        ErrorEntry(
            seq=90,
            at=ago(1_500),
            error="OrgUnreachable",
            message="502 Bad Gateway from Salesforce; tried again after 2 s",
        ),
    ]


def dead_letters() -> list[DeadLetter]:
    """The dead letters of `live`."""
    return [
        DeadLetter(
            id=8812,
            at=ago(60),
            reason="UnknownField",
            message="field Foo__c is not in the describe",
            object="Contact",
            record="003Dn00000Dd4WuAAJ",
            attempts=5,
        ),
        DeadLetter(
            id=8790,
            at=ago(540),
            reason="UnknownField",
            message="field Foo__c is not in the describe",
            object="Contact",
            record="003Dn00000Jj0QoAAJ",
            attempts=5,
        ),
        DeadLetter(
            id=8633,
            at=ago(1_300),
            reason="ObjectUnavailable",
            message="Survey__c is hidden from the sync user",
            object="Survey__c",
            record="a02Dn00000Kk1PnAAJ",
            attempts=3,
        ),
    ]
