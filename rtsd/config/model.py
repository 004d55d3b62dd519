"""The configuration as values, frozen: one class per table of rtsd.toml (contract section 2).

Durations are milliseconds, shares 0..1, secrets `Secret`. Components take the values they need, or
one of the small classes here, never `Config`.
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
    Condition,
    Duration,
    FieldOrAll,
    Listen,
    LoopbackAddress,
    OptionalFile,
    OptionalUrl,
    PositiveDuration,
    RowFilter,
    Share,
    Size,
    SocketPath,
    Url,
    WebhookUrl,
)
from rtsd.core.schema import ObjectConfig

Auth = Literal["client_credentials", "jwt", "refresh_token", "password"]
Privacy = Literal["drop", "hash", "last4"]
Operation = Literal["create", "update", "delete", "undelete"]
ChangeSource = Literal["push", "interval", "repair", "audit"]
AlertKind = Literal["silent", "unreachable", "quota", "dead_letter", "drift", "incomplete"]

_ALWAYS_MIRRORED = frozenset({"id", "systemmodstamp"})  # they identify and order a record


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_FromList = BeforeValidator(_as_tuple)


def _secret() -> Any:
    """A secret `x`, which may be given as `x_file` too (see `rtsd.config.secrets`)."""
    return Field(default=None, json_schema_extra={"secret": True}, repr=False)


def _fields(value: Any) -> Any:
    """`["*"]` or names."""
    if isinstance(value, list) and "*" in value and len(value) > 1:
        raise ValueError('mixes "*" with names; ["*"] for all fields, or a list of names')
    if value in ([], ()):
        raise ValueError('names no field; ["*"] for all fields, or a list of names')
    return _as_tuple(value)


def _optional_fields(value: Any) -> Any:
    """Names of fields that can be left out of the mirror or changed on their way to it."""
    kept = [name for name in value if str(name).lower() in _ALWAYS_MIRRORED] if _is_many(value) else []
    if kept:
        raise ValueError(f"names {', '.join(kept)}, which rtsd itself needs; any other field")
    return _as_tuple(value)


def _is_many(value: Any) -> bool:
    return isinstance(value, list | dict)


class Table(BaseModel):
    """What all tables share: frozen, typed strictly, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class Org(Table):
    """The org, and how to log in to it. Which keys are needed depends on `auth`."""

    login_url: Url
    auth: Auth = "client_credentials"
    client_id: str = ""
    client_secret: Secret | None = _secret()
    username: str = ""
    password: Secret | None = _secret()
    security_token: Secret | None = _secret()
    private_key: Secret | None = _secret()
    refresh_token: Secret | None = _secret()
    api_version: ApiVersion = "66.0"
    ca_file: OptionalFile = None
    _refresh_token_path: Path | None = PrivateAttr(default=None)

    @property
    def refresh_token_path(self) -> Path | None:
        """Where a rotated refresh token is written back; None when the token stands in the file itself."""
        return self._refresh_token_path


class Gateway(Table):
    """Where pushes are taken. `listen` None: no gateway."""

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
        """The token file, for a rotation; None when the token stands in the configuration itself."""
        return self._token_path

    @property
    def hmac_keys(self) -> tuple[bytes, ...]:
        """The keys that may sign a push, all accepted, so that a token can be rotated."""
        return tuple(secret.reveal().encode() for secret in self.token)


class Store(Table):
    """The mirror's file, and how much of the past is in it; 0 is no limit."""

    path: AnyPath = Path("/var/lib/rtsd/mirror.db")
    journal_keep: Duration = 90 * 86_400_000
    journal_max: Size = 1024**3


class Control(Table):
    """The Unix socket of the control API, and where metrics are served besides it."""

    socket: SocketPath = Path("/run/rtsd/rtsd.sock")
    metrics: LoopbackAddress = None


class Sync(Table):
    """When what is read. Milliseconds; 0 switches a periodic read off."""

    silence_after: PositiveDuration = 1_800_000
    interval: PositiveDuration = 300_000
    lookback: Duration = 600_000
    fingerprint_every: Duration = 21_600_000
    describe_every: PositiveDuration = 3_600_000
    formula_refresh: Duration = 86_400_000
    initial_audit: Literal["auto", "ask"] = "auto"


class DailyCaps(Table):
    """Own caps a day, besides the org's; None is no cap."""

    api_requests: Annotated[int | None, Field(ge=1)] = None
    bulk_jobs: Annotated[int | None, Field(ge=1)] = None


class Quota(Table):
    """What rtsd leaves untouched (`reserve`, a share of each daily limit), and its own caps."""

    reserve: Share = 0.2
    daily: DailyCaps = DailyCaps()


class ObjectSection(Table):
    """One object of the mirror; `("*",)` is every field."""

    name: ApiName
    fields: Annotated[tuple[FieldOrAll, ...], BeforeValidator(_fields)] = ("*",)
    exclude: Annotated[tuple[ApiName, ...], BeforeValidator(_optional_fields)] = ()
    conditions: Annotated[tuple[ApiName, ...], _FromList] = ()
    refresh: Annotated[tuple[ApiName, ...], _FromList] = ()
    where: RowFilter = ""
    privacy: Annotated[dict[ApiName, Privacy], BeforeValidator(_optional_fields)] = {}

    def config(self) -> ObjectConfig:
        """Return what the sync engine needs of it."""
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
    """Deliver by a signed POST, answered within `timeout` ms."""

    url: WebhookUrl
    secret: Secret | None = _secret()
    timeout: PositiveDuration = 15_000


class Command(Table):
    """Deliver to a program's standard input; it is ended after `timeout` ms."""

    argv: Annotated[tuple[Argument, ...], _FromList, Field(min_length=1)]
    timeout: PositiveDuration = 60_000


class RuleSection(Table):
    """What changes of an object trigger; either `webhook` or `command`."""

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
    """What the daemon's own events trigger; either `webhook` or `command`."""

    name: Annotated[str, Field(pattern=r"^([\w.-]{1,80})?$")] = ""
    on: Annotated[tuple[AlertKind, ...], _FromList, Field(min_length=1)]
    resolved: bool = False
    webhook: Webhook | None = None
    command: Command | None = None


class Config(Table):
    """The whole file, with every secret read."""

    org: Org
    gateway: Gateway = Gateway()
    store: Store = Store()
    control: Control = Control()
    sync: Sync = Sync()
    quota: Quota = Quota()
    objects: Annotated[tuple[ObjectSection, ...], _FromList]
    rules: Annotated[tuple[RuleSection, ...], _FromList] = ()
    alerts: Annotated[tuple[AlertSection, ...], _FromList] = ()
    _path: Path = PrivateAttr(default=Path())

    @property
    def path(self) -> Path:
        """The file this was read from, to read it again on SIGHUP."""
        return self._path

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret in use, for the log's redaction."""
        webhooks = [rule.webhook for rule in self.rules] + [alert.webhook for alert in self.alerts]
        hooks = [webhook.secret for webhook in webhooks if webhook]
        org = self.org
        mine = (org.client_secret, org.password, org.security_token, org.private_key, org.refresh_token)
        return tuple(secret for secret in (*mine, *self.gateway.token, *hooks) if secret is not None)
