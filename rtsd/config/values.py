"""Parsers of single values: durations, shares, URLs, addresses, names, paths.

Each raises ValueError worded `what is wrong; what is allowed`, the text of the mistake.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo

from rtsd.core.instant import DAY_MS, HOUR_MS, MINUTE_MS

_UNITS_MS = {"ms": 1, "s": 1_000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_UNITS_BYTES = {"MB": 1_000**2, "GB": 1_000**3, "MiB": 1_024**2, "GiB": 1_024**3}
_SIZE = re.compile(r"([0-9]{1,6})(MB|GB|MiB|GiB)")
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_BUS = re.compile(r"[A-Za-z0-9.-]{1,253}:[0-9]{1,5}")
_NATS = re.compile(r"(nats|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_LOOPBACK_BUS = re.compile(r"http://(127\.0\.0\.1|localhost):[0-9]{1,5}")
_PERCENT = re.compile(r"([0-9]{1,2})%")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_NAME = 80  # 40 characters, a namespace of 15, suffixes (Object Reference, API names), and some room
_MAX_SOCKET_PATH = 107  # sun_path of a Unix socket address, less its final NUL (unix(7))


class Listen(NamedTuple):
    """An address to listen on; port 0 selects a free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def duration(value: Any) -> int:
    """Parse `"500ms" "10s" "30m" "24h" "7d"` as milliseconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is not a duration; such as "500ms" "10s" "30m" "24h" "7d"')
    return int(found[1]) * _UNITS_MS[found[2]]


def positive_duration(value: Any) -> int:
    """Parse a duration greater than 0 as milliseconds."""
    milliseconds = duration(value)
    if milliseconds == 0:
        raise ValueError(f'{value!r} is zero; more than "0s"')
    return milliseconds


def size(value: Any) -> int:
    """Parse `"500MB" "1GiB"` as bytes."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is not a size; such as "500MB" "1GiB", "0MB" for no limit')
    return int(found[1]) * _UNITS_BYTES[found[2]]


def share(value: Any) -> float:
    """Parse `"20%"` as 0.2; less than 100 %, which would leave nothing for rtsd."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is not a share; "0%" to "99%"')
    return int(found[1]) / 100


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url(value: Any) -> str:
    """Parse an https:// URL, or an http:// URL of this machine, without its trailing slash."""
    allowed = "https://host, or http:// for this machine only (127.0.0.1, [::1], localhost)"
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises for an invalid port
    except ValueError:
        raise ValueError(f"{value!r} is not a URL; {allowed}") from None
    if not host or parts.scheme not in {"https", "http"} or re.search(r"[\s\x00-\x1f]", value):
        raise ValueError(f"{value!r} is not a URL; {allowed}")
    if parts.username is not None:
        raise ValueError(f"contains a user name or password; {allowed}")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{value!r} would send secrets in clear text; {allowed}")
    return str(value).rstrip("/")


def webhook_url(value: Any) -> str:
    """Parse a URL to post to, keeping a trailing slash."""
    url(value)
    return str(value)


def argument(value: Any) -> str:
    """Parse an argument of a command."""
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError(f"{value!r} is not an argument; text in quotes")
    return value


def condition(value: Any) -> str:
    """Parse a rule's `when`; its columns are checked once the object has been described."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text; an SQL condition in quotes")  # noqa: TRY004 - see module
    from rtsd.store.when import check_syntax  # noqa: PLC0415 - imports SQLite, only needed for conditions

    check_syntax(value)
    return value


def optional_url(value: Any) -> str:
    """Parse a URL, or `""` for none."""
    return "" if value == "" else url(value)


def listen(value: Any) -> Listen | None:
    """Parse `"host:port"`; None for `""`."""
    if value == "":
        return None
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    bracketed = host.startswith("[") and host.endswith("]")
    if (
        not host
        or not colon
        or not re.fullmatch(r"[0-9]{1,5}", port)
        or int(port) > 65_535
        or (":" in host and not bracketed)
    ):
        raise ValueError(f'{value!r} is not an address; "host:port" such as "127.0.0.1:8787", or ""')
    return Listen(host.strip("[]"), int(port))


def bus_address(value: Any) -> str:
    """Parse `host:port`, reached by TLS, or `http://127.0.0.1:port`."""
    if isinstance(value, str) and (_BUS.fullmatch(value) or _LOOPBACK_BUS.fullmatch(value)):
        return value
    raise ValueError(f'{value!r} is not an address; "host:port", or "http://127.0.0.1:port" on this machine')


def nats_urls(value: Any) -> tuple[str, ...]:
    """Parse the URL of a NATS server, or those of a cluster's servers."""
    urls = value if isinstance(value, list) else [value]
    allowed = '"nats://host:4222", or "tls://host:4222", or a list of these'
    if not urls:
        raise ValueError(f"is empty; {allowed}")
    for each in urls:
        if isinstance(each, str) and "@" in each:
            raise ValueError(f"contains a user name or password; {allowed}, and credentials_file")
        if not isinstance(each, str) or not _NATS.fullmatch(each):
            raise ValueError(f"{each!r} is not the URL of a NATS server; {allowed}")
    return tuple(urls)


def loopback_listen(value: Any) -> Listen | None:
    """Parse `"host:port"` of this machine; None for `""`."""
    found = listen(value)
    if found is not None and not is_loopback(found.host):
        raise ValueError(
            f'{value!r} is reachable from outside; an address of this machine such as "127.0.0.1:9187"'
        )
    return found


def api_name(value: Any) -> str:
    """Parse the API name of an object or field, such as `Contact` or `Invoice__c`."""
    if not isinstance(value, str) or not _NAME.fullmatch(value) or len(value) > _MAX_NAME:
        raise ValueError(f'{value!r} is not an API name; such as "Contact" or "Invoice__c"')
    return value


def field_or_all(value: Any) -> str:
    """Parse the API name of a field, or `"*"` for all fields."""
    return "*" if value == "*" else api_name(value)


def schema_name(value: Any) -> str:
    """Return a PostgreSQL schema's name that needs no quotes."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value):
        raise ValueError(f'{value!r} is not the name of a schema; lower-case, such as "salesforce"')
    if value.startswith("pg_"):
        raise ValueError(f"{value!r} is a name of PostgreSQL's own; another one")
    return value


def optional_schema(value: Any) -> str:
    """Return a schema's name, or `""` for none."""
    return "" if value == "" else schema_name(value)


def row_filter(value: Any) -> str:
    """Parse a SOQL condition; Salesforce validates it in the first query."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text; a SOQL condition in quotes")  # noqa: TRY004 - see module
    text = value.strip()
    if text[:6].lower() in {"where", "where ", "where\n", "where\t"}:
        raise ValueError("starts with WHERE; the condition alone, such as \"Type = 'Customer'\"")
    return text


def api_version(value: Any) -> str:
    """Parse a Salesforce API version; Bulk API 2.0 queries need a recent one."""
    if not isinstance(value, str) or not re.fullmatch(r"[4-9][0-9]\.0|1[0-9]{2}\.0", value):
        raise ValueError(f'{value!r} is not an API version; text such as "66.0"')
    return value


def _context(info: ValidationInfo) -> dict[str, Any]:
    """Return the context from `config.load`: `base` (a Path) and `files` (SecretFiles)."""
    context: dict[str, Any] = info.context or {}
    return context


def path(value: Any, info: ValidationInfo) -> Path:
    """Parse a path; relative paths start at the configuration's directory (context `base`)."""
    if not isinstance(value, str) or not value or "\x00" in value:
        raise ValueError(f"{value!r} is not a path; a path in quotes")
    return Path(_context(info)["base"], Path(value).expanduser())


def optional_file(value: Any, info: ValidationInfo) -> Path | None:
    """Parse the name of an existing file, located like secret files; None for `""`."""
    if value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a file name; a name in quotes")  # noqa: TRY004 - see module
    found: Path = _context(info)["files"].find(value)
    if not found.is_file():
        raise ValueError(f"{found} does not exist; a PEM file")
    return found


def socket_path(value: Any, info: ValidationInfo) -> Path:
    """Parse the path of a Unix socket."""
    found = path(value, info)
    if len(bytes(found)) > _MAX_SOCKET_PATH:
        raise ValueError(f"{found} is too long for a Unix socket; at most {_MAX_SOCKET_PATH} bytes")
    return found


Duration = Annotated[int, BeforeValidator(duration)]
"""Milliseconds, 0 included."""
Size = Annotated[int, BeforeValidator(size)]
"""Bytes."""
PositiveDuration = Annotated[int, BeforeValidator(positive_duration)]
"""Milliseconds, at least 1."""
Share = Annotated[float, BeforeValidator(share)]
"""0.0 to 0.99."""
Url = Annotated[str, BeforeValidator(url)]
OptionalUrl = Annotated[str, BeforeValidator(optional_url)]
WebhookUrl = Annotated[str, BeforeValidator(webhook_url)]
Argument = Annotated[str, BeforeValidator(argument)]
Condition = Annotated[str, BeforeValidator(condition)]
Address = Annotated[Listen | None, BeforeValidator(listen)]
BusAddress = Annotated[str, BeforeValidator(bus_address)]
NatsUrls = Annotated[tuple[str, ...], BeforeValidator(nats_urls)]
"""At least one."""
LoopbackAddress = Annotated[Listen | None, BeforeValidator(loopback_listen)]
FieldOrAll = Annotated[str, BeforeValidator(field_or_all)]
ApiName = Annotated[str, BeforeValidator(api_name)]
SchemaName = Annotated[str, BeforeValidator(schema_name)]
OptionalSchema = Annotated[str, BeforeValidator(optional_schema)]
RowFilter = Annotated[str, BeforeValidator(row_filter)]
ApiVersion = Annotated[str, BeforeValidator(api_version)]
AnyPath = Annotated[Path, BeforeValidator(path)]
OptionalFile = Annotated[Path | None, BeforeValidator(optional_file)]
SocketPath = Annotated[Path, BeforeValidator(socket_path)]
