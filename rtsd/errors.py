"""Every error rts raises on purpose: whose fault it is, and what to do about it.

::

    RtsError                    message, do (the next step), exit_status, http_status
    ├── ConfigError             the configuration file or a secret in it (exit 2)
    ├── UsageError              a command's arguments, or a bad control request (exit 2, HTTP 400)
    ├── NotFound                no such object, record, dead letter or run (HTTP 404)
    ├── Conflict                the thing exists but is not in a state for this (HTTP 409)
    ├── DaemonUnreachable       no rtsd behind the socket (exit 3)
    ├── RuleFailed              a rule's `when` cannot be evaluated any more, as for a field that is gone
    ├── AnotherInstance         somebody else holds the state directory (exit 75)
    ├── AddressInUse            the gateway's port or the socket's path is taken
    ├── StoreError              the database file
    │   ├── ForeignDatabase     a SQLite file that is not ours
    │   ├── NewerDatabase       written by a later rtsd
    │   ├── CorruptDatabase     not readable as SQLite, or it fails its own checks
    │   ├── StorageUnwritable   read-only, missing directory, no permission
    │   ├── StorageFull         no space left
    │   └── StorageFailed       the disk answered with an I/O error
    ├── SalesforceError         Salesforce answered with an error; code and status as it sent them
    │   ├── AuthenticationFailed   it refused the login
    │   ├── SessionExpired      the access token is no longer valid
    │   ├── OrgUnreachable      no connection, time-out, or a 5xx that outlasted the retries
    │   ├── QuotaExhausted      the daily allocation, or our reserve or own cap, is used up
    │   ├── BulkRefused         the Bulk API will not read this object or query
    │   ├── DeployFailed        a metadata deployment or anonymous Apex did not go through
    │   ├── BulkFailed          a job ended Failed or Aborted, or its result is not whole
    │   └── ObjectUnavailable   the object or field is gone or hidden from the sync user
    └── PushError               a push the gateway will not take
        ├── MalformedPush       400
        ├── BadSignature        401
        ├── WrongOrg            403
        ├── PushTimedOut        408
        ├── PushTooLarge        413
        ├── PushEncoded         415
        └── CannotCommit        503, with Retry-After
"""

from __future__ import annotations

__all__ = [
    "AddressInUse",
    "AnotherInstance",
    "AuthenticationFailed",
    "BadSignature",
    "BulkFailed",
    "BulkRefused",
    "CannotCommit",
    "ConfigError",
    "Conflict",
    "CorruptDatabase",
    "DaemonUnreachable",
    "DeployFailed",
    "ForeignDatabase",
    "MalformedPush",
    "NewerDatabase",
    "NotFound",
    "ObjectUnavailable",
    "OrgUnreachable",
    "PushEncoded",
    "PushError",
    "PushTimedOut",
    "PushTooLarge",
    "QuotaExhausted",
    "RtsError",
    "RuleFailed",
    "SalesforceError",
    "SessionExpired",
    "StorageFailed",
    "StorageFull",
    "StorageUnwritable",
    "StoreError",
    "UsageError",
    "WrongOrg",
    "place",
]


def place(error: BaseException) -> str:
    """Where an error came up, as `file.py:12`, for logs: its text may hold what nobody else is to read."""
    found = error.__traceback__
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return f"{found.tb_frame.f_code.co_filename.rpartition('/')[2]}:{found.tb_lineno}" if found else "?"


class RtsError(Exception):
    """The root: what happened (`message`) and what the reader can do about it (`do`)."""

    exit_status = 1
    http_status = 500

    def __init__(self, message: str, do: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.do = do

    @property
    def code(self) -> str:
        """The name that goes on the wire and into logs, e.g. `QuotaExhausted`."""
        return type(self).__name__

    def __str__(self) -> str:
        """What happened and what to do, as one text."""
        ended = not self.do or self.message.endswith((".", "!", "?", ":"))
        return f"{self.message}{'' if ended else ';'} {self.do}".strip()


class ConfigError(RtsError):
    """The configuration cannot be used; `mistakes` holds every one of them, not only the first."""

    exit_status = 2
    http_status = 400

    def __init__(self, message: str, do: str = "", mistakes: tuple[str, ...] = ()) -> None:
        super().__init__(message, do)
        self.mistakes = mistakes


class UsageError(RtsError):
    """The caller asked for something that makes no sense."""

    exit_status = 2
    http_status = 400


class NotFound(RtsError):
    """No such object, record, dead letter or run."""

    http_status = 404


class Conflict(RtsError):
    """It exists, but not in a state for this."""

    http_status = 409


class DaemonUnreachable(RtsError):
    """No rtsd answers behind the control socket."""

    exit_status = 3
    http_status = 503


class RuleFailed(RtsError):
    """A rule's `when` cannot be evaluated: what it was to judge fired nothing."""


class AnotherInstance(RtsError):
    """Another rtsd holds the state directory."""

    exit_status = 75


class AddressInUse(RtsError):
    """The gateway's address or the control socket's path is taken."""


class StoreError(RtsError):
    """The database file cannot be used as it is; nothing in it was touched."""

    http_status = 503


class ForeignDatabase(StoreError):
    """A SQLite file that rtsd did not make."""


class NewerDatabase(StoreError):
    """A database that a later rtsd has migrated."""


class CorruptDatabase(StoreError):
    """Not readable as SQLite, or it fails SQLite's own checks."""


class StorageUnwritable(StoreError):
    """The directory or file is read-only, missing, or not ours."""


class StorageFull(StoreError):
    """No space is left on the device."""


class StorageFailed(StoreError):
    """The disk answered with an I/O error: nothing more is promised until a restart has recovered."""


class SalesforceError(RtsError):
    """Salesforce answered with an error.

    `status` is the HTTP status (0: none came), `reason` its errorCode such as `INVALID_FIELD`.
    """

    http_status = 502

    def __init__(self, message: str, do: str = "", *, status: int = 0, reason: str = "") -> None:
        super().__init__(message, do)
        self.status = status
        self.reason = reason


class AuthenticationFailed(SalesforceError):
    """The login was refused; the message carries Salesforce's own reason."""


class SessionExpired(SalesforceError):
    """The access token is no longer valid (REST 401 INVALID_SESSION_ID)."""


class OrgUnreachable(SalesforceError):
    """No connection, a time-out, or server errors that outlasted the retries."""


class QuotaExhausted(SalesforceError):
    """A daily allocation, our reserve of it, or our own cap is used up; work is deferred, not failed."""

    http_status = 429
    goes_on_at: int | None = None
    """When enough of what was spent leaves the rolling 24 hours (ms since 1970), as far as that is known."""
    try_at: int = 0
    """When trying again makes sense: then, or earlier, to see whether others have left room."""


class BulkRefused(SalesforceError):
    """The Bulk API will not read this object or query; REST may."""


class BulkFailed(SalesforceError):
    """A Bulk job ended Failed or Aborted, or what it delivered is not whole."""


class DeployFailed(SalesforceError):
    """A metadata deployment or anonymous Apex did not go through; `details` has a line for each reason."""

    def __init__(self, message: str, do: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message, do)
        self.details = details


class ObjectUnavailable(SalesforceError):
    """The object or a field is gone, or hidden from the sync user."""


class PushError(RtsError):
    """A push that the gateway will not take; nothing of it was kept."""

    http_status = 400


class MalformedPush(PushError):
    """Not a document of contract section 3."""


class BadSignature(PushError):
    """The signature is missing or wrong, or the time-stamp is more than 300 s off."""

    http_status = 401


class WrongOrg(PushError):
    """Rightly signed, but by another org: a sandbox copy that kept production's token."""

    http_status = 403


class PushTimedOut(PushError):
    """The body did not arrive in time."""

    http_status = 408


class PushTooLarge(PushError):
    """The body is over 12 MiB."""

    http_status = 413


class PushEncoded(PushError):
    """The body has a Content-Encoding; the package never sends one."""

    http_status = 415


class CannotCommit(PushError):
    """The push cannot be made durable now: overload or storage. Nothing was kept; try again."""

    http_status = 503

    def __init__(self, message: str, do: str = "", *, retry_after_s: int = 5) -> None:
        super().__init__(message, do)
        self.retry_after_s = retry_after_s
