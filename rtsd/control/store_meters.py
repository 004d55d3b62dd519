"""Metrics about the place of the mirror, on every node: whether it answers, how fast, and who leads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rtsd.store.database import Database
from rtsd.store.engine import Engine

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class StoreMeters(Collector):
    """Measures an engine, and the databases that it is given."""

    def __init__(
        self, registry: CollectorRegistry, engine: Engine, takes_pushes: Callable[[], bool] | None
    ) -> None:
        """`takes_pushes` says whether the gateway can commit one; None without a gateway."""
        self._engine = engine
        self._takes_pushes = takes_pushes
        self._seconds = Histogram(
            "rtsd_store_transaction_seconds",
            "Time of a write transaction that succeeded, its commit included.",
            ("of",),
            registry=registry,
            buckets=_BUCKETS,
        )
        registry.register(self)

    def measure(self, mirror: Database | None, inbox: Database) -> None:
        """Measure the transactions of these from now on."""
        inbox.took = self._seconds.labels("inbox").observe
        if mirror is not None:
            mirror.took = self._seconds.labels("mirror").observe

    def collect(self) -> Iterator[Metric]:
        """Yield what is not counted elsewhere."""
        outage, lease = self._engine.outage, self._engine.lease
        yield _gauge("store_reachable", "1 if the place of the mirror answers.", float(not outage.reason))
        yield _gauge("store_away_seconds", "How long it has not answered.", outage.seconds)
        leads = lease is None or lease.node.leader
        yield _gauge("node_leads", "1 if this node leads, as far as it knows.", float(leads))
        epoch = None if lease is None else lease.node.epoch
        yield _gauge("lease_epoch", "The take-over with which this node began to lead.", epoch)
        ready = None if self._takes_pushes is None else float(self._takes_pushes())
        yield _gauge("gateway_takes_pushes", "1 if a push can be committed now, as /readyz says.", ready)


def _gauge(name: str, help_: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(f"rtsd_{name}", help_)
    if value is not None:
        family.add_metric((), value)
    return family
