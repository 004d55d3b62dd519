"""The operations that show how the mirror fares: status, journal, errors, quota, rules, nodes, metrics."""

from __future__ import annotations

from rtsd.control import protocol
from rtsd.control.openapi.operation import JSON, Content, Operation, moment, number, switch, text
from rtsd.control.stream import MOST_ENTRIES, MOST_HZ, MOST_ROWS
from rtsd.errors import Conflict, NotFound
from rtsd.fanout import cloudevent

AT = "2026-03-01T10:00:00.412Z"
CONTACT = "003000000000001AAA"

CHANGE = protocol.Event(
    seq=4711,
    at=AT,
    type="change",
    object="Contact",
    id=CONTACT,
    op="update",
    source="push",
    outcome="applied",
    changed=["Email"],
    latency_ms=412,
)
FINDING = protocol.Event(
    seq=4712, at=AT, type="drift", object="Contact", source="repair", message="1 record differs: 1 stale"
)
ACTION = protocol.Event(
    seq=4713,
    at=AT,
    type="action",
    object="Contact",
    outcome="done",
    message="alice paused Contact",
    detail={"action": "pause", "what": "paused Contact", "by": "alice", "program": "rtstui"},
)
LIMIT = protocol.Limit(
    name="DailyApiRequests",
    max=100_000,
    remaining=97_000,
    used_by_us=320,
    used_by_others=2_680,
    exhausted_at="2026-03-03T10:00:00.000Z",
    stops_at=80_000,
)
IDLE_DAY = protocol.IdleDay(real_time=260, interval=4_032, awaiting_package=4_032)
NODE = protocol.SeenNode(name="a", leader=True, epoch=3, since="2026-03-01T08:00:00.000Z", seen_at=AT)
STATUS = protocol.Status(
    version="0.1.0",
    started_at="2026-03-01T08:00:00.000Z",
    now=AT,
    org=protocol.Org(id="00D000000000001EAA", name="Acme", sandbox=False, apex=True, reachable=True),
    gateway=protocol.Gateway(listen="127.0.0.1:8787"),
    mode="real_time",
    mode_since="2026-03-01T08:00:31.000Z",
    mode_reason="push received",
    push=protocol.Push(
        channel="stream",
        stream=protocol.Stream(
            topic="/event/RTS_Push__e",
            connected=True,
            replay_age_s=12,
            deliveries_24h=410,
            deliveries_ours_24h=400,
            deliveries_max=25_000,
        ),
        last_at=AT,
        quiet="live",
    ),
    objects=[
        protocol.Object(
            name="Contact",
            state="live",
            arrives_by="push",
            rows=1_000_000,
            expected_rows=1_000_000,
            counted_at=AT,
            progress=1.0,
            as_of=AT,
            freshness_ms=protocol.Freshness(p50=380, p95=900, p99=1_400),
            drift=protocol.Drift(checked_at=AT),
        )
    ],
    quota=protocol.Quota(
        limits=[LIMIT], calls_24h={"audit": 40, "interval": 120, "repair": 7}, idle_day=IDLE_DAY
    ),
    nodes=[NODE],
    streams=[
        protocol.PublishedStream(
            name="rts", stream="rts", url=["nats://127.0.0.1:4222"], connected=True, acknowledged=4711
        )
    ],
    last_seq=4711,
)
DOCUMENT = cloudevent.Document(
    id="4711",
    source="rtsd/00D000000000001EAA",
    type="rts.change.update",
    subject=f"Contact/{CONTACT}",
    time=AT,
    data=cloudevent.Data(
        object="Contact",
        id=CONTACT,
        op="update",
        source="push",
        changed=["Email"],
        before={"Id": CONTACT, "Email": "ana@acme.com"},
        after={"Id": CONTACT, "Email": "ana.silva@acme.com"},
    ),
)
RULES = protocol.Rules(
    rules=[
        protocol.RuleStatus(
            name="webinar-sequence",
            object="Lead",
            on=["create"],
            when="Status = 'Webinar'",
            target="https://hooks.example.com/lead",
            fired_24h=12,
            delivered_24h=12,
            last_fired_at=AT,
        )
    ]
)
EVENTS_TEXT = """Without `follow` one page of the journal, oldest first. With `follow=1` the first line is a
snapshot of the status, and the answer does not end; the last line to a reader that was too slow is `lagged`,
and it resumes with `after`. With `hz` frames take the place of entries: the newest rows and counters, at most
so many times a second. With `format=cloudevents` there are only applied changes, each with the record before
and after it, without a snapshot."""

READING = (
    Operation(
        "GET",
        "/v1/openapi.json",
        "openapi",
        "This document.",
        {200: [Content(JSON, "The control API in OpenAPI 3.1.")]},
    ),
    Operation(
        "GET",
        "/v1/status",
        "status",
        "Mode, push channel, objects, quota and store, at one moment.",
        {200: [STATUS]},
        text="While the store is away, it has the last known figures, and every state is `unknown`.",
    ),
    Operation(
        "GET",
        "/v1/events",
        "events",
        "The journal: a page of it, or followed.",
        {
            200: [
                CHANGE,
                protocol.Snapshot(status=STATUS),
                protocol.Lagged(after=4711),
                protocol.Frame(
                    seq=4711, counters={"change": 12, "change.push": 12}, skipped=0, rows=[CHANGE]
                ),
                DOCUMENT,
            ]
        },
        parameters=(
            number(
                "after", "Entries after this one; without it from the first, or with `follow` from now on."
            ),
            text("object", "Entries about this object alone.", "Contact"),
            number("limit", "Entries in a page.", default=1_000, most=MOST_ENTRIES),
            number("last", "So many of the newest entries, in place of those after one.", most=MOST_ENTRIES),
            text("type", "Entries of these types alone, with commas.", "change,mode"),
            moment("since", "Entries since then."),
            moment("until", "Entries up to then."),
            switch("follow", "Whether the answer goes on with entries as they come."),
            number("hz", "Frames a second, with `follow`; 0 sends every entry.", default=0, most=MOST_HZ),
            number("rows", "Entries in a frame.", default=200, most=MOST_ROWS),
            text("format", "`json`, or `cloudevents`.", "json"),
        ),
        errors=(NotFound, Conflict),
        text=EVENTS_TEXT,
        lines=True,
    ),
    Operation(
        "GET",
        "/v1/events/values",
        "event_values",
        "The values that some applied changes replaced and brought.",
        {
            200: [
                protocol.EventValues(
                    values=[
                        protocol.ChangeValues(
                            seq=4711,
                            name="Ana Silva",
                            by="005000000000001AAA",
                            changed={"Amount": protocol.ValueChange(before=12_000, after=15_000)},
                            more=2,
                        )
                    ]
                )
            ]
        },
        parameters=(
            text("seq", "1 to 100 entries by their numbers, with commas.", "4711,4712", required=True),
        ),
    ),
    Operation(
        "GET",
        "/v1/errors",
        "errors",
        "The error log, newest first.",
        {
            200: [
                protocol.Errors(
                    errors=[
                        protocol.ErrorEntry(
                            seq=9,
                            at=AT,
                            error="OrgUnreachable",
                            message="no connection to Salesforce",
                            count=3,
                        )
                    ]
                )
            ]
        },
    ),
    Operation(
        "GET",
        "/v1/actions",
        "actions",
        "What operators did through this API: the newest 200 actions, newest first.",
        {200: [protocol.Actions(actions=[ACTION])]},
    ),
    Operation(
        "GET",
        "/v1/missed",
        "missed",
        "The changes that came by no push, by spell, earliest first.",
        {
            200: [
                protocol.Missed(
                    since="2026-02-28T10:00:00.412Z",
                    missed=1,
                    spells=[
                        protocol.Spell(
                            since="2026-03-01T09:10:00.000Z",
                            until="2026-03-01T09:14:00.000Z",
                            why="pushes were silent",
                            missed=True,
                            changes=1,
                            objects={"Contact": 1},
                            sources={"interval": 1},
                            first=[
                                protocol.MissedChange(
                                    seq=4690,
                                    made_at="2026-03-01T09:12:00.000Z",
                                    object="Contact",
                                    id=CONTACT,
                                    op="update",
                                    source="interval",
                                )
                            ],
                        )
                    ],
                    truncated=False,
                )
            ]
        },
        parameters=(moment("since", "From when on; without it the last 24 hours."),),
    ),
    Operation(
        "GET",
        "/v1/quota/history",
        "quota_history",
        "Calls by hour and the use of the org's limits, of the last 7 days, oldest first.",
        {
            200: [
                protocol.QuotaHistory(
                    hours=[protocol.HourlyCalls(at="2026-03-01T09:00:00.000Z", purpose="audit", calls=12)],
                    usage=[
                        protocol.UsageSample(
                            at=AT, name="DailyApiRequests", max=100_000, used=3_000, used_by_us=320
                        )
                    ],
                    ours=[
                        protocol.HourlyUse(at="2026-03-01T09:00:00.000Z", name="DailyApiRequests", used=12)
                    ],
                    idle_day=IDLE_DAY,
                )
            ]
        },
    ),
    Operation(
        "GET",
        "/v1/audits",
        "audits",
        "The audits under way, and the findings of audits, fingerprints and repairs, newest first.",
        {
            200: [
                protocol.Audits(
                    running=[protocol.RunningAudit(object="Contact", started_at=AT, rows_read=250_000)],
                    verification=protocol.RunningVerification(object="Contact", rows_checked=51_200),
                    findings=[FINDING],
                )
            ]
        },
    ),
    Operation(
        "GET",
        "/v1/rules",
        "rules",
        "Rules and alerts, and how their deliveries fare.",
        {200: [RULES]},
    ),
    Operation(
        "POST",
        "/v1/rules/{name}/test",
        "test_rule",
        "The changes since a moment that would have fired a rule, by the journal; nothing is sent.",
        {
            200: [
                protocol.RuleTest(
                    rule="webinar-sequence",
                    since="2026-03-01T00:00:00.000Z",
                    considered=40,
                    matched=12,
                    entries=[CHANGE],
                )
            ]
        },
        body=protocol.RuleTestBody(since="2026-03-01T00:00:00Z"),
        errors=(NotFound, Conflict),
    ),
    Operation(
        "GET",
        "/v1/nodes",
        "nodes",
        "The nodes that share the mirror and are alive; none where one process has it, as on SQLite.",
        {200: [[NODE]]},
    ),
    Operation(
        "GET",
        "/metrics",
        "metrics",
        "The metrics, as Prometheus scrapes them.",
        {
            200: [
                Content(
                    "text/plain",
                    "The text format, or OpenMetrics if the scrape accepts it.",
                    example='rtsd_object_rows{object="Contact"} 1000000\n',
                )
            ]
        },
    ),
)
