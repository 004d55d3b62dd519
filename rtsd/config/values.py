"""Single values of the configuration: durations, shares, URLs, addresses, names, paths.

Each parser raises ValueError worded `what is wrong; what is allowed`, which becomes the mistake's text.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNITS_BYTES = {"MB": 1_000**2, "GB": 1_000**3, "MiB": 1_024**2, "GiB": 1_024**3}
_SIZE = re.compile(r"([0-9]{1,6})(MB|GB|MiB|GiB)")
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_PERCENT = re.compile(r"([0-9]{1,2})%")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_MAX_NAME = 80  # 40 characters, a namespace of 15 and suffixes (Object Reference, API names); with room
_MAX_SOCKET_PATH = 107  # sun_path of a Unix socket address, less its final NUL (unix(7))


class Listen(NamedTuple):
    """An address to listen on; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def duration(value: Any) -> int:
    """Read `"500ms" "10s" "30m" "24h" "7d"` as milliseconds."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is not a duration; such as "500ms" "10s" "30m" "24h" "7d"')
    return int(found[1]) * _UNITS_MS[found[2]]


def positive_duration(value: Any) -> int:
    """Read a duration that cannot be nothing."""
    milliseconds = duration(value)
    if milliseconds == 0:
        raise ValueError(f'{value!r} is no time at all; more than "0s"')
    return milliseconds


def size(value: Any) -> int:
    """Read `"500MB" "1GiB"` as bytes."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is not a size; such as "500MB" "1GiB", "0MB" for no limit')
    return int(found[1]) * _UNITS_BYTES[found[2]]


def share(value: Any) -> float:
    """Read `"20%"` as 0.2; all of it would leave nothing to work with."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is not a share; "0%" to "99%"')
    return int(found[1]) / 100


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url(value: Any) -> str:
    """Read an https:// URL, or an http:// one of this machine; without the slash at its end."""
    allowed = "https://host, or http:// for this machine only (127.0.0.1, [::1], localhost)"
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        host = parts.hostname or ""
        parts.port  # noqa: B018 - reading it is the check: it raises for no number and for 65536
    except ValueError:
        raise ValueError(f"{value!r} is not a URL; {allowed}") from None
    if not host or parts.scheme not in {"https", "http"} or re.search(r"[\s\x00-\x1f]", value):
        raise ValueError(f"{value!r} is not a URL; {allowed}")
    if parts.username is not None:
        raise ValueError(f"holds a user name or password; {allowed}")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{value!r} would send secrets in clear text; {allowed}")
    return str(value).rstrip("/")


def webhook_url(value: Any) -> str:
    """Read a URL to post to, as it is written: the slash at its end is the receiver's affair."""
    url(value)
    return str(value)


def argument(value: Any) -> str:
    """Read one argument of a command."""
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError(f"{value!r} is not an argument; text in quotes")
    return value


def condition(value: Any) -> str:
    """Read a rule's `when`; which columns there are shows once the object has been described."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text; an SQL condition in quotes")  # noqa: TRY004 - see module
    from rtsd.store.when import check_syntax  # noqa: PLC0415 - SQLite, for those who have a condition

    check_syntax(value)
    return value


def optional_url(value: Any) -> str:
    """Read a URL, or `""` for none."""
    return "" if value == "" else url(value)


def listen(value: Any) -> Listen | None:
    """Read `"host:port"`; `""` is None."""
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


def loopback_listen(value: Any) -> Listen | None:
    """Read `"host:port"` of this machine itself; `""` is None."""
    found = listen(value)
    if found is not None and not is_loopback(found.host):
        raise ValueError(f'{value!r} is open to others; an address of this machine such as "127.0.0.1:9187"')
    return found


def api_name(value: Any) -> str:
    """Read the API name of an object or field, such as `Contact` or `Invoice__c`."""
    if not isinstance(value, str) or not _NAME.fullmatch(value) or len(value) > _MAX_NAME:
        raise ValueError(f'{value!r} is not an API name; such as "Contact" or "Invoice__c"')
    return value


def field_or_all(value: Any) -> str:
    """Read the API name of a field, or `"*"` for every one."""
    return "*" if value == "*" else api_name(value)


def row_filter(value: Any) -> str:
    """Read a SOQL condition; Salesforce itself judges it when the daemon first asks."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text; a SOQL condition in quotes")  # noqa: TRY004 - see module
    text = value.strip()
    if text[:6].lower() in {"where", "where ", "where\n", "where\t"}:
        raise ValueError("starts with WHERE; the condition alone, such as \"Type = 'Customer'\"")
    return text


def api_version(value: Any) -> str:
    """Read a Salesforce API version; Bulk API 2.0 query and its locators need a recent one."""
    if not isinstance(value, str) or not re.fullmatch(r"[4-9][0-9]\.0|1[0-9]{2}\.0", value):
        raise ValueError(f'{value!r} is not an API version; text such as "66.0"')
    return value


def _context(info: ValidationInfo) -> dict[str, Any]:
    """Return what `config.load` hands to these parsers: `base` (a Path) and `files` (SecretFiles)."""
    context: dict[str, Any] = info.context or {}
    return context


def path(value: Any, info: ValidationInfo) -> Path:
    """Read a path; a relative one starts at the configuration's directory (context `base`)."""
    if not isinstance(value, str) or not value or "\x00" in value:
        raise ValueError(f"{value!r} is not a path; a path in quotes")
    return Path(_context(info)["base"], Path(value).expanduser())


def optional_file(value: Any, info: ValidationInfo) -> Path | None:
    """Read the name of an existing file, looked up as secret files are; `""` is None."""
    if value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a file's name; a name in quotes")  # noqa: TRY004 - see module
    found: Path = _context(info)["files"].find(value)
    if not found.is_file():
        raise ValueError(f"{found} is not there; a file in PEM form")
    return found


def socket_path(value: Any, info: ValidationInfo) -> Path:
    """Read the path of a Unix socket."""
    found = path(value, info)
    if len(bytes(found)) > _MAX_SOCKET_PATH:
        raise ValueError(f"{found} is too long for a Unix socket; at most {_MAX_SOCKET_PATH} bytes")
    return found


Duration = Annotated[int, BeforeValidator(duration)]
Size = Annotated[int, BeforeValidator(size)]
"""Milliseconds; 0 is possible."""
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
LoopbackAddress = Annotated[Listen | None, BeforeValidator(loopback_listen)]
FieldOrAll = Annotated[str, BeforeValidator(field_or_all)]
ApiName = Annotated[str, BeforeValidator(api_name)]
RowFilter = Annotated[str, BeforeValidator(row_filter)]
ApiVersion = Annotated[str, BeforeValidator(api_version)]
AnyPath = Annotated[Path, BeforeValidator(path)]
OptionalFile = Annotated[Path | None, BeforeValidator(optional_file)]
SocketPath = Annotated[Path, BeforeValidator(socket_path)]
