"""The configuration as frozen values, with a class per table of rtsd.toml (contract section 2).

Durations are in milliseconds, sizes in bytes, shares in 0..1. Components take the values they need, or one of
the small classes here, never `Config`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from rtsd.config.secrets import Secret
from rtsd.config.values import (
    Address,
    AnyPath,
    ApiName,
    ApiVersion,
    Argument,
    BusAddress,
    Condition,
    Duration,
    FieldOrAll,
    Listen,
    LoopbackAddress,
    NatsUrls,
    OptionalFile,
    OptionalSchema,
    OptionalUrl,
    PositiveDuration,
    RowFilter,
    SchemaName,
    Share,
    Size,
    SocketPath,
    WebhookUrl,
)
from rtsd.core import sfdx_url
from rtsd.core.instant import DAY_MS, HOUR_MS, MINUTE_MS
from rtsd.core.layout import Layout
from rtsd.core.schema import ObjectConfig

Auth = Literal["client_credentials", "jwt", "refresh_token", "password", "sf", "sfdx_url"]
Privacy = Literal["drop", "hash", "last4"]
Operation = Literal["create", "update", "delete", "undelete"]
ChangeSource = Literal["push", "interval", "repair", "audit"]
AlertKind = Literal["silent", "unreachable", "quota", "dead_letter", "drift", "incomplete", "stream"]

_ALWAYS_MIRRORED = frozenset({"id", "systemmodstamp"})  # identify a record and order its versions


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_FromList = BeforeValidator(_as_tuple)


def _secret() -> Any:
    """A secret `x`, which may also be given as `x_file` (see `rtsd.config.secrets`)."""
    return Field(default=None, json_schema_extra={"secret": True}, repr=False)


def _fields(value: Any) -> Any:
    """Accept `["*"]` or a list of names."""
    if isinstance(value, list) and "*" in value and len(value) > 1:
        raise ValueError('mixes "*" with names; ["*"] for all fields, or a list of names')
    if value in ([], ()):
        raise ValueError('names no field; ["*"] for all fields, or a list of names')
    return _as_tuple(value)


def _optional_fields(value: Any) -> Any:
    """Accept names of fields that may be excluded or masked."""
    kept = [name for name in value if str(name).lower() in _ALWAYS_MIRRORED] if _is_many(value) else []
    if kept:
        raise ValueError(f"names {', '.join(kept)}, which rtsd requires; any other field")
    return _as_tuple(value)


def _is_many(value: Any) -> bool:
    return isinstance(value, list | dict)


class Table(BaseModel):
    """The base of all tables: frozen, strictly typed, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class Org(Table):
    """The org and its credentials, whose required keys depend on `auth`.

    `login_url` is empty where `sf` or an SFDX authorization URL knows the address.
    """

    login_url: OptionalUrl = ""
    auth: Auth = "client_credentials"
    client_id: str = ""
    client_secret: Secret | None = _secret()
    username: str = ""
    password: Secret | None = _secret()
    security_token: Secret | None = _secret()
    private_key: Secret | None = _secret()
    refresh_token: Secret | None = _secret()
    sfdx_url: Secret | None = _secret()
    api_version: ApiVersion = "66.0"
    ca_file: OptionalFile = None
    _refresh_token_path: Path | None = PrivateAttr(default=None)

    @property
    def refresh_token_path(self) -> Path | None:
        """The file of the refresh token or the SFDX URL; None if that is part of the configuration file."""
        return self._refresh_token_path

    @property
    def address(self) -> str:
        """The URL that a login goes to; "" if only `sf` knows it."""
        return sfdx_url.parse(self.sfdx_url.reveal()).login_url if self.sfdx_url else self.login_url

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret, also the parts of the SFDX URL."""
        parts: list[Secret | None] = []
        if self.sfdx_url is not None:
            url = sfdx_url.parse(self.sfdx_url.reveal())
            parts = [Secret(url.refresh_token), Secret(url.client_secret) if url.client_secret else None]
        own = (self.client_secret, self.password, self.security_token, self.private_key, self.refresh_token)
        return tuple(secret for secret in (*own, self.sfdx_url, *parts) if secret is not None)


class Gateway(Table):
    """The endpoint for pushes; `listen` None disables it."""

    listen: Address = Listen("127.0.0.1", 8787)
    public_url: OptionalUrl = ""
    token: Annotated[tuple[Secret, ...], _FromList] = Field(
        default=(), json_schema_extra={"secret": True}, repr=False
    )
    tls_certificate: OptionalFile = None
    tls_private_key: OptionalFile = None
    _token_path: Path | None = PrivateAttr(default=None)

    @property
    def token_path(self) -> Path | None:
        """The token file, for a rotation; None if the token is part of the configuration file."""
        return self._token_path


class Push(Table):
    """The channel that brings pushes, and for `stream` and `cdc` the address of the Pub/Sub API.

    `topic` is that of Change Data Capture; an empty `channel` leaves all changes to Interval Sync.
    `deliveries` is the share of the org's event deliveries at which rtsd unsubscribes.
    """

    channel: Literal["gateway", "stream", "cdc", ""] = "gateway"
    topic: Annotated[str, Field(pattern=r"^/data/\w{1,80}$")] = "/data/ChangeEvents"
    token: Annotated[tuple[Secret, ...], _FromList] = Field(
        default=(), json_schema_extra={"secret": True}, repr=False
    )
    endpoint: BusAddress = "api.pubsub.salesforce.com:443"
    sealed: bool = False
    deliveries: Share = 0.8
    _token_path: Path | None = PrivateAttr(default=None)

    @property
    def token_path(self) -> Path | None:
        """The token file, as that of the gateway."""
        return self._token_path


class LayoutPlaces(Table):
    """The schema of the views in each layout; on SQLite, what their names begin with. "" is none."""

    heroku_connect: OptionalSchema = ""
    fivetran: OptionalSchema = ""
    history: OptionalSchema = ""

    def used(self) -> dict[Layout, str]:
        """Return the schemas of the layouts that are used."""
        places = ((layout, str(getattr(self, layout.value))) for layout in Layout)
        return {layout: place for layout, place in places if place}


class Store(Table):
    """The mirror's file, or its PostgreSQL database, and the retention of its journal; 0 for no limit."""

    path: AnyPath = Path("/var/lib/rtsd/mirror.db")
    url: Annotated[str, Field(repr=False)] = ""
    password: Secret | None = _secret()
    mirror_schema: Annotated[SchemaName, Field(alias="schema")] = "salesforce"
    internal_schema: SchemaName = "rts"
    views: LayoutPlaces = LayoutPlaces()
    journal_keep: Duration = 90 * DAY_MS
    journal_max: Size = 1024**3


class Node(Table):
    """This process, among several on one PostgreSQL; without a name, the host's."""

    name: Annotated[str, Field(pattern=r"^([\w.-]{1,80})?$")] = ""


class Control(Table):
    """The Unix socket of the control API, and an additional address for metrics."""

    socket: SocketPath = Path("/run/rtsd/rtsd.sock")
    metrics: LoopbackAddress = None


class Sync(Table):
    """The schedule of reads in milliseconds; 0 disables a periodic read."""

    fresh_goal: PositiveDuration = MINUTE_MS
    silence_after: PositiveDuration = 30 * MINUTE_MS
    interval: PositiveDuration = 5 * MINUTE_MS
    lookback: Duration = 10 * MINUTE_MS
    fingerprint_every: Duration = 6 * HOUR_MS
    describe_every: PositiveDuration = HOUR_MS
    formula_refresh: Duration = DAY_MS
    initial_audit: Literal["auto", "ask"] = "auto"


class DailyCaps(Table):
    """rtsd's own daily caps, besides the org's limits; None for no cap."""

    api_requests: Annotated[int | None, Field(ge=1)] = None
    bulk_jobs: Annotated[int | None, Field(ge=1)] = None


class Quota(Table):
    """The share of each daily limit that rtsd leaves unused (`reserve`), and its own caps."""

    reserve: Share = 0.2
    daily: DailyCaps = DailyCaps()


class ObjectSection(Table):
    """A mirrored object; `("*",)` selects every field."""

    name: ApiName
    fields: Annotated[tuple[FieldOrAll, ...], BeforeValidator(_fields)] = ("*",)
    exclude: Annotated[tuple[ApiName, ...], BeforeValidator(_optional_fields)] = ()
    conditions: Annotated[tuple[ApiName, ...], _FromList] = ()
    refresh: Annotated[tuple[ApiName, ...], _FromList] = ()
    where: RowFilter = ""
    privacy: Annotated[dict[ApiName, Privacy], BeforeValidator(_optional_fields)] = {}

    def config(self) -> ObjectConfig:
        """Return the configuration as the sync engine takes it."""
        return ObjectConfig(
            self.name,
            fields=self.fields,
            exclude=self.exclude,
            where=self.where,
            conditions=self.conditions,
            refresh=self.refresh,
            privacy=dict(self.privacy),
        )


class Webhook(Table):
    """Delivery by a signed POST, with a time-out in ms."""

    url: WebhookUrl
    secret: Secret | None = _secret()
    timeout: PositiveDuration = 15_000


class Webhooks(Table):
    """What all webhooks share."""

    addresses: Literal["public", "private", "any"] = "private"


class Command(Table):
    """Delivery to a program's standard input; the program is killed after `timeout` ms."""

    argv: Annotated[tuple[Argument, ...], _FromList, Field(min_length=1)]
    timeout: PositiveDuration = 60_000


class RuleSection(Table):
    """A rule that changes of an object fire, with either `webhook` or `command`."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,80}$")]
    object: ApiName
    on: Annotated[tuple[Operation, ...], _FromList, Field(min_length=1)]
    fire_on: Annotated[tuple[ChangeSource, ...], _FromList, Field(min_length=1)] = (
        "push",
        "interval",
        "repair",
    )
    when: Condition = ""
    webhook: Webhook | None = None
    command: Command | None = None


class AlertSection(Table):
    """An alert about conditions of the daemon, with either `webhook` or `command`."""

    name: Annotated[str, Field(pattern=r"^([\w.-]{1,80})?$")] = ""
    on: Annotated[tuple[AlertKind, ...], _FromList, Field(min_length=1)]
    resolved: bool = False
    webhook: Webhook | None = None
    command: Command | None = None


class StreamSection(Table):
    """A stream of NATS JetStream that gets every change; `name` is that of the stream unless it is given.

    A new one begins with what comes, or with what the `journal` still has. `replicas` are those of a stream
    that rtsd creates.
    """

    name: Annotated[str, Field(pattern=r"^([\w-]{1,80})?$")] = ""
    url: NatsUrls
    credentials: Secret | None = _secret()
    stream: Annotated[str, Field(pattern=r"^[\w-]{1,80}$")]
    create: bool = False
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    begin: Literal["now", "journal"] = "now"
    ca_file: OptionalFile = None


class Config(Table):
    """The complete configuration with its secrets."""

    org: Org
    gateway: Gateway = Gateway()
    push: Push = Push()
    store: Store = Store()
    node: Node = Node()
    control: Control = Control()
    sync: Sync = Sync()
    quota: Quota = Quota()
    objects: Annotated[tuple[ObjectSection, ...], _FromList]
    rules: Annotated[tuple[RuleSection, ...], _FromList] = ()
    alerts: Annotated[tuple[AlertSection, ...], _FromList] = ()
    webhooks: Webhooks = Webhooks()
    streams: Annotated[tuple[StreamSection, ...], _FromList] = ()
    _path: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """The configuration file, to be reloaded on SIGHUP."""
        return self._path

    @property
    def hmac_keys(self) -> tuple[bytes, ...]:
        """The keys accepted for signing pushes, on any channel; several during a rotation."""
        return tuple(secret.reveal().encode() for secret in (*self.gateway.token, *self.push.token))

    @property
    def package_tokens(self) -> tuple[Secret, ...]:
        """The tokens that the package may sign with, newest last: those of `[push]`, else of `[gateway]`."""
        return self.push.token or self.gateway.token

    @property
    def package_token_path(self) -> Path | None:
        """The file of `package_tokens`; None if they are part of the configuration file."""
        return self.push.token_path if self.push.token else self.gateway.token_path

    @property
    def is_pushed_to(self) -> bool:
        """Whether a package in the org is expected to push."""
        is_open = self.gateway.listen is not None
        return self.push.channel == "stream" or (self.push.channel == "gateway" and is_open)

    @property
    def is_package_awaited(self) -> bool:
        """Whether the package could push as soon as it is installed."""
        return bool(self.gateway.public_url) or self.push.channel == "stream"

    @property
    def is_subscribed(self) -> bool:
        """Whether the channel is a subscription."""
        return self.push.channel in ("stream", "cdc")

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret, for redaction in logs."""
        webhooks = [rule.webhook for rule in self.rules] + [alert.webhook for alert in self.alerts]
        hooks = [webhook.secret for webhook in webhooks if webhook]
        tokens = (*self.gateway.token, *self.push.token)
        stores = [self.store.password, *(stream.credentials for stream in self.streams)]
        return tuple(
            secret for secret in (*self.org.secrets(), *tokens, *hooks, *stores) if secret is not None
        )
