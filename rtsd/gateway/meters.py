"""What the gateway counts, for `GET /metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# They would be a second series for each counter, which says when it was made.
disable_created_metrics()  # type: ignore[no-untyped-call]

_ACK_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""An Apex callout gives up after 10 s; a commit takes milliseconds."""


class Meters:
    """Counters of the gateway since the start. Label values are few and fixed: no sender can add one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pushes = Counter(
            "rtsd_pushes",
            "Pushes answered, by result: accepted, duplicate, or the error's name.",
            ["result"],
            registry=registry,
        )
        for result in ("accepted", "duplicate"):
            self.pushes.labels(result)
        self.changes = Counter("rtsd_pushed_changes", "Changes in accepted pushes.", registry=registry)
        self.seconds = Histogram(
            "rtsd_push_seconds",
            "From a push's whole body to its answer; for accepted ones that is the commit.",
            buckets=_ACK_BUCKETS,
            registry=registry,
        )
        self.connections = Gauge("rtsd_gateway_connections", "Open connections.", registry=registry)
        self.pending = Gauge(
            "rtsd_gateway_pending_connections",
            "Open connections that have not brought a whole, well signed request yet.",
            registry=registry,
        )
        self.certificate = Gauge(
            "rtsd_certificate_ends_timestamp_seconds",
            "When the gateway's TLS certificate ends; 0 without TLS.",
            registry=registry,
        )
        self.dropped = Counter(
            "rtsd_gateway_dropped_connections",
            "Connections that were closed unasked, by reason.",
            ["reason"],
            registry=registry,
        )
