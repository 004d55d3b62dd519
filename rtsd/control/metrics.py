"""`GET /metrics`: the facts of status, and counters since the start, for Prometheus.

Names follow https://prometheus.io/docs/practices/naming/. Labels are objects and limits that the
configuration or the org names, and words of rtsd's own: never text that a sender chooses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rtsd.control import protocol
from rtsd.control.feed import Feed
from rtsd.control.known_status import UNKNOWN, KnownStatus
from rtsd.control.rules import RuleRoutes
from rtsd.core.channel import CHANNELS
from rtsd.core.instant import from_iso
from rtsd.core.mode import Mode
from rtsd.core.object_state import ObjectState
from rtsd.core.silence import Quiet
from rtsd.errors import AddressInUse
from rtsd.store.engine import Engine
from rtsd.store.sqlite import library as sqlite

Handler = Callable[[web.Request], Awaitable[web.Response]]
Samples = Iterable[tuple[tuple[str, ...], float]]


class Metrics(Collector):
    """Renders the registry; the status in it is as of the request."""

    def __init__(
        self, registry: CollectorRegistry, known: KnownStatus, feed: Feed, rules: RuleRoutes, engine: Engine
    ) -> None:
        self._registry = registry
        self._known = known
        self._feed = feed
        self._rule_routes = rules
        self._engine = engine
        self._rules = protocol.Rules()
        self._status: protocol.Status | None = None
        registry.register(self)

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/metrics", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a scrape, in the format it asks for."""
        self._status = await self._known.get()
        is_there = self._status.store.reachable
        self._rules = await self._rule_routes.listed() if is_there else protocol.Rules()
        return exposition(self._registry, request)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that are not counted elsewhere."""
        if self._status is not None:  # it is None when the registry asks for the names
            yield from families(self._status, self._rules, self._engine.sizes(), self._feed.counters)


def families(
    status: protocol.Status,
    rules: protocol.Rules,
    sizes: Iterable[tuple[str, str, float]],
    counters: Mapping[str, int],
) -> Iterator[Metric]:
    """Yield the metrics that show a status, the engine's sizes and the journal's counters."""
    yield from _daemon(status)
    yield from _push(status)
    yield from _objects(status.objects)
    yield from _quota(status.quota)
    yield from _streams(status.streams)
    yield from _nodes(status.nodes)
    yield from _rules([*rules.rules, *rules.alerts])
    yield from _storage(status, sizes)
    yield from _journal(counters)


def exposition(registry: CollectorRegistry, request: web.Request) -> web.Response:
    """Render a registry in the format that a scrape asks for."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return web.Response(body=encode(registry), headers={"Content-Type": content_type})


class MetricsListener:
    """`GET /metrics` on a TCP address of this machine, for a Prometheus that can't read a Unix socket."""

    def __init__(self) -> None:
        self.answer: Handler | None = None
        """Answers a scrape; without it there is nothing to tell yet."""
        self._runner: web.AppRunner | None = None
        self.address: str | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises AddressInUse."""
        app = web.Application()
        app.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.stop()
            raise AddressInUse(
                f"cannot listen on {host}:{port}: {error.strerror}", "set another [control] metrics"
            ) from error
        self.address = "{}:{}".format(*self._runner.addresses[0][:2])

    async def stop(self) -> None:
        """Close it."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if self.answer is None:
            raise web.HTTPServiceUnavailable
        return await self.answer(request)


def _daemon(status: protocol.Status) -> Iterator[Metric]:
    build = InfoMetricFamily("rtsd_build", "Versions of rtsd and of its SQLite.")
    build.add_metric((), {"version": status.version, "sqlite": sqlite.version()})
    yield build
    yield _gauge("rtsd_start_timestamp_seconds", "When rtsd started.", _seconds(status.started_at))
    yield _states("rtsd_mode", "How changes arrive: 1 for the current mode.", Mode, status.mode)
    goal = [] if status.fresh_goal_ms is None else [((), status.fresh_goal_ms / 1000)]
    help_ = "95 of 100 changes should be in the mirror within it."
    yield _labelled("rtsd_fresh_goal_seconds", help_, (), goal)
    reachable = status.org.reachable is not False
    yield _gauge("rtsd_org_reachable", "1 if Salesforce answered the last call.", float(reachable))
    for name, help_, count in (
        ("inbox_pending", "Pushes that are durable and not applied yet.", status.inbox.pending),
        (
            "dead_letters",
            "Pushes and deliveries that could not be used and wait for a decision.",
            status.dead_letters,
        ),
        ("errors_last_day", "Errors logged in the last 24 hours.", status.errors_24h),
    ):  # without a database these are old, which a sample can't say
        samples = [((), float(count))] if status.store.reachable else []
        yield _labelled(f"rtsd_{name}", help_, (), samples)


def _push(status: protocol.Status) -> Iterator[Metric]:
    push = status.push
    yield _states(
        "rtsd_push_channel", "How pushes come: 1 for the configured channel.", CHANNELS, push.channel
    )
    yield _states(
        "rtsd_push_quiet", "The state of the push channel: 1 for the current one.", Quiet, push.quiet
    )
    last = [((), _seconds(push.last_at))] if push.last_at else []
    yield _labelled("rtsd_push_last_timestamp_seconds", "When the last push arrived.", (), last)
    yield _gauge(
        "rtsd_push_missed_last_day", "Changes that a push should have brought, in 24 hours.", push.missed_24h
    )
    yield from _stream(push.stream)
    relay = status.package.relay
    running = relay is None or relay.problem is None
    yield _gauge("rtsd_relay_running", "0 if the package's relay passes no changes on.", float(running))
    yield _gauge("rtsd_package_problems", "Problems of the Salesforce package.", len(status.package.problems))


def _stream(stream: protocol.Stream | None) -> Iterator[Metric]:
    """Yield the subscription's metrics: the same names on every channel, values where there is one."""

    def gauge(name: str, help_: str, value: float | None) -> Metric:
        return _labelled(f"rtsd_stream_{name}", help_, (), [] if value is None else [((), float(value))])

    connected = None if stream is None else float(stream.connected is True)
    yield gauge("connected", "1 if the subscription has responded.", connected)
    age = None if stream is None else stream.replay_age_s
    yield gauge("replay_age_seconds", "Age of the position to resume from.", age)
    ours, everybody = (stream.deliveries_ours_24h, stream.deliveries_24h) if stream else (None, None)
    counts = [
        ((subscribers,), float(count))
        for subscribers, count in (("rtsd", ours), ("all", everybody))
        if count is not None
    ]
    yield _labelled(
        "rtsd_stream_deliveries_last_day", "Events delivered in 24 hours.", ("subscribers",), counts
    )
    highest = None if stream is None else stream.deliveries_max
    yield gauge("deliveries_max", "The org's allocation for 24 hours.", highest)


def _objects(objects: Iterable[protocol.Object]) -> Iterator[Metric]:
    known = list(objects)

    def gauge(name: str, help_: str, labels: tuple[str, ...], samples: Samples) -> Metric:
        return _labelled(f"rtsd_object_{name}", help_, ("object", *labels), samples)

    states = [
        ((item.name, str(state)), float(item.state == state)) for item in known for state in ObjectState
    ]
    yield gauge("state", "The state of an object: 1 for the current one.", ("state",), states)
    rows = [((item.name,), item.rows) for item in known if item.state != UNKNOWN]
    yield gauge("rows", "Rows in the mirror.", (), rows)
    expected = [
        ((item.name,), item.expected_rows)
        for item in known
        if item.expected_rows is not None and item.state != UNKNOWN
    ]
    yield gauge("expected_rows", "The org's own count when it was last asked.", (), expected)
    proven = [((item.name,), _seconds(item.as_of)) for item in known if item.as_of]
    yield gauge("as_of_timestamp_seconds", "The mirror shows everything committed before this.", (), proven)
    fresh = [
        ((item.name, quantile), milliseconds / 1000)
        for item in known
        if (took := item.freshness_ms) is not None
        for quantile, milliseconds in (("0.5", took.p50), ("0.95", took.p95), ("0.99", took.p99))
    ]
    yield gauge("freshness_seconds", "From the org's commit to the mirror's.", ("quantile",), fresh)
    locked = [((item.name,), float(item.locked_by is not None)) for item in known]
    yield gauge("locked", "1 while others use its table, so that new columns can't come.", (), locked)
    drift = [
        ((item.name, kind), count)
        for item in known
        if (found := item.drift) is not None
        for kind, count in (
            ("missing", found.missing),
            ("stale", found.stale),
            ("orphaned", found.orphaned),
        )
    ]
    yield gauge("drift_rows", "Rows that the last check found wrong, by kind.", ("kind",), drift)


def _quota(quota: protocol.Quota) -> Iterator[Metric]:
    limits = [((item.name,), item) for item in quota.limits]
    for name, help_, values in (
        ("max", "The org's daily limit.", [(label, item.max) for label, item in limits]),
        (
            "remaining",
            "The rest of the org's daily limit.",
            [(label, item.remaining) for label, item in limits],
        ),
        (
            "used_by_rtsd",
            "The part of the daily limit that rtsd used.",
            [(label, item.used_by_us) for label, item in limits],
        ),
    ):
        yield _labelled(f"rtsd_api_limit_{name}", help_, ("limit",), values)
    ends = [(label, _seconds(item.exhausted_at)) for label, item in limits if item.exhausted_at]
    help_ = "When it will be used up at the present rate; absent if it lasts."
    yield _labelled("rtsd_api_limit_exhausted_timestamp_seconds", help_, ("limit",), ends)
    calls = [((purpose,), count) for purpose, count in quota.calls_24h.items()]
    yield _labelled("rtsd_api_calls_last_day", "Calls of the last 24 hours.", ("purpose",), calls)


def _rules(known: Iterable[protocol.RuleStatus]) -> Iterator[Metric]:
    every = list(known)
    for name, help_, values in (
        ("pending", "Deliveries that wait to be accepted.", [item.pending for item in every]),
        (
            "circuit_open",
            "1 while the target refuses everything and is only probed.",
            [item.circuit == "open" for item in every],
        ),
        ("broken", "1 if the condition cannot be evaluated.", [item.error is not None for item in every]),
    ):
        samples = [((item.name,), float(value)) for item, value in zip(every, values, strict=True)]
        yield _labelled(f"rtsd_rule_{name}", help_, ("rule",), samples)


def _streams(known: Iterable[protocol.PublishedStream]) -> Iterator[Metric]:
    every = list(known)
    for name, help_, values in (
        ("connected", "1 while the stream is reached.", [item.connected for item in every]),
        ("failing", "1 while nothing can be published.", [item.error is not None for item in every]),
        ("lag_entries", "Entries of the journal not published yet.", [item.lag for item in every]),
        ("lag_seconds", "Age of the first change not published.", [item.lag_s for item in every]),
        ("lost_entries", "Entries that retention deleted unpublished.", [item.lost for item in every]),
    ):
        samples = [((item.name,), float(value)) for item, value in zip(every, values, strict=True)]
        yield _labelled(f"rtsd_fanout_{name}", help_, ("stream",), samples)
    for name, help_, counts in (
        ("published", "Changes published since the start.", [item.published for item in every]),
        ("failures", "Attempts that failed since the start.", [item.failures for item in every]),
    ):
        family = CounterMetricFamily(f"rtsd_fanout_{name}", help_, labels=["stream"])
        for item, count in zip(every, counts, strict=True):
            family.add_metric([item.name], count)
        yield family


def _nodes(known: Iterable[protocol.SeenNode]) -> Iterator[Metric]:
    """Yield what the leader knows of the nodes that share the mirror."""
    every = list(known)
    differs = [((node.name,), float(len(node.differs))) for node in every]
    help_ = "Parts of its configuration that are not the leader's."
    yield _labelled("rtsd_node_differs", help_, ("node",), differs)
    refused = [((node.name,), float(node.refused.count)) for node in every]
    help_ = "Pushes that it refused in 24 hours."
    yield _labelled("rtsd_node_refused_last_day", help_, ("node",), refused)


def _storage(status: protocol.Status, sizes: Iterable[tuple[str, str, float]]) -> Iterator[Metric]:
    yield _gauge("rtsd_storage_ok", "1 if the last write succeeded.", float(status.storage == "ok"))
    for name, help_, size in sizes:
        yield _gauge(f"rtsd_{name}_bytes", help_, size)


def _journal(counters: Mapping[str, int]) -> Iterator[Metric]:
    for name, prefix, label, help_ in (
        ("rtsd_changes", "change.", "source", "Changes judged since the start, by source."),
        ("rtsd_change_outcomes", "outcome.", "outcome", "Changes judged since the start, by outcome."),
    ):
        family = CounterMetricFamily(name, help_, labels=[label])
        for key, count in counters.items():
            if key.startswith(prefix):
                family.add_metric([key.removeprefix(prefix)], count)
        yield family
    entries = CounterMetricFamily("rtsd_journal_entries", "Entries since the start.", labels=["type"])
    for key, count in counters.items():
        if "." not in key:
            entries.add_metric([key], count)
    yield entries


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_, value=value)


def _labelled(name: str, help_: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _states(name: str, help_: str, every: Iterable[str], now: str) -> Metric:
    label = name.rpartition("_")[2]
    return _labelled(name, help_, (label,), [((str(item),), float(item == now)) for item in every])


def _seconds(moment: str) -> float:
    return from_iso(moment) / 1000
