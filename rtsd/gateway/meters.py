"""The gateway's metrics, for `GET /metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# avoid a second series per counter with its time of creation
disable_created_metrics()  # type: ignore[no-untyped-call]

_ACK_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: a commit takes milliseconds, and an Apex callout times out after 10 s."""


class Meters:
    """The gateway's metrics since the start. Label values are fixed: no sender can add series."""

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
            "Seconds from a push's complete body to its answer; for accepted pushes the time of the commit.",
            buckets=_ACK_BUCKETS,
            registry=registry,
        )
        self.in_progress = Gauge(
            "rtsd_gateway_pushes_in_progress",
            "Pushes that have arrived completely and are not answered yet.",
            registry=registry,
        )
        self.admitted = Gauge(
            "rtsd_gateway_pushes_admitted",
            "The most pushes that may be in progress; further ones are refused unread.",
            registry=registry,
        )
        self.connections = Gauge("rtsd_gateway_connections", "Open connections.", registry=registry)
        self.pending = Gauge(
            "rtsd_gateway_pending_connections",
            "Open connections without a complete, correctly signed request so far.",
            registry=registry,
        )
        self.certificate = Gauge(
            "rtsd_certificate_ends_timestamp_seconds",
            "The time at which the gateway's TLS certificate expires; 0 without TLS.",
            registry=registry,
        )
        self.dropped = Counter(
            "rtsd_gateway_dropped_connections",
            "Connections closed by the gateway, by reason.",
            ["reason"],
            registry=registry,
        )
