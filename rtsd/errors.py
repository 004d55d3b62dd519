"""Every error that rts raises on purpose: whose fault it is and what to do.

::

    RtsError                    message, do (the next step), exit_status, http_status
    ├── ConfigError             the configuration file or a secret in it (exit 2)
    ├── UsageError              a command's arguments, or a bad control request (exit 2, HTTP 400)
    ├── NotFound                no such object, record, dead letter or run (HTTP 404)
    ├── Conflict                it exists, but its state does not allow this (HTTP 409)
    │   └── NotLeader           another node leads, and can do this
    ├── LeaderAway              this node stands by, and none that leads answers (exit 75, HTTP 503)
    ├── DaemonUnreachable       no rtsd answers on the control socket (exit 3)
    ├── PublishFailed           a stream of `[[streams]]` does not take changes, or is not reached
    ├── ChangesLost             retention deleted changes before they were published to a stream
    ├── RuleFailed              a rule's `when` can no longer be evaluated, as for a removed field
    ├── AnotherInstance         another rtsd holds the state directory (exit 75)
    ├── AddressInUse            the gateway's port or the socket's path is taken
    ├── StoreError              the database file
    │   ├── ForeignDatabase     a SQLite file of another program
    │   ├── NewerDatabase       written by a later version of rtsd
    │   ├── UnfinishedMove      what a move left that did not come to its end
    │   ├── CorruptDatabase     not readable as SQLite, or fails its integrity checks
    │   ├── StorageUnwritable   read-only, missing directory, no permission
    │   ├── StorageFull         no space left
    │   ├── LeaseLost           another node leads on this database now
    │   ├── StorageAway         the database server does not answer
    │   └── StorageFailed       the disk reported an I/O error
    ├── SalesforceError         Salesforce answered with an error; code and status as sent
    │   ├── AuthenticationFailed   the login was refused
    │   ├── SessionExpired      the access token is no longer valid
    │   ├── OrgUnreachable      no connection, a time-out, or a 5xx that outlasted the retries
    │   ├── QuotaExhausted      the daily allocation, the reserve or a cap of rtsd's is used up
    │   ├── BulkRefused         the Bulk API does not support this object or query
    │   ├── StreamRefused       the Pub/Sub API ended the subscription, and trying again does not help
    │   ├── DeployFailed        a metadata deployment or anonymous Apex failed
    │   ├── BulkFailed          a job ended Failed or Aborted, or its result is incomplete
    │   └── ObjectUnavailable   the object or field was removed or is hidden from the sync user
    └── PushError               a push that the gateway rejects
        ├── MalformedPush       400
        ├── BadSignature        401
        ├── UnsealedPush        an event that can be read, where seals are demanded
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
    "ChangesLost",
    "ConfigError",
    "Conflict",
    "CorruptDatabase",
    "DaemonUnreachable",
    "DeployFailed",
    "ForeignDatabase",
    "LeaderAway",
    "LeaseLost",
    "MalformedPush",
    "NewerDatabase",
    "NotFound",
    "NotLeader",
    "ObjectUnavailable",
    "OrgUnreachable",
    "PublishFailed",
    "PushEncoded",
    "PushError",
    "PushTimedOut",
    "PushTooLarge",
    "QuotaExhausted",
    "RtsError",
    "RuleFailed",
    "SalesforceError",
    "SessionExpired",
    "StorageAway",
    "StorageFailed",
    "StorageFull",
    "StorageUnwritable",
    "StoreError",
    "StreamRefused",
    "TableLocked",
    "UnfinishedMove",
    "UnsealedPush",
    "UsageError",
    "WrongOrg",
    "place",
]


def place(error: BaseException) -> str:
    """The place an error was raised, as `file.py:12`, for logs: its text may contain confidential data."""
    found = error.__traceback__
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return f"{found.tb_frame.f_code.co_filename.rpartition('/')[2]}:{found.tb_lineno}" if found else "?"


class RtsError(Exception):
    """The root of rts's errors: what happened (`message`) and what the reader can do about it (`do`)."""

    exit_status = 1
    http_status = 500

    def __init__(self, message: str, do: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.do = do

    @property
    def code(self) -> str:
        """The name on the wire and in logs, such as `QuotaExhausted`."""
        return type(self).__name__

    def __str__(self) -> str:
        """The message and the advice in one text."""
        ended = not self.do or self.message.endswith((".", "!", "?", ":"))
        return f"{self.message}{'' if ended else ';'} {self.do}".strip()


class ConfigError(RtsError):
    """The configuration is not usable; `mistakes` lists every mistake, not only the first."""

    exit_status = 2
    http_status = 400

    def __init__(self, message: str, do: str = "", mistakes: tuple[str, ...] = ()) -> None:
        super().__init__(message, do)
        self.mistakes = mistakes


class UsageError(RtsError):
    """The caller's arguments are invalid."""

    exit_status = 2
    http_status = 400


class NotFound(RtsError):
    """No such object, record, dead letter or run."""

    http_status = 404


class Conflict(RtsError):
    """The target exists, but its state does not allow this."""

    http_status = 409


class NotLeader(Conflict):
    """This node stands by, and only the node that leads can do this."""


class LeaderAway(RtsError):
    """This node stands by, and no node that leads answers."""

    exit_status = 75
    http_status = 503


class DaemonUnreachable(RtsError):
    """No rtsd answers on the control socket."""

    exit_status = 3
    http_status = 503


class RuleFailed(RtsError):
    """A rule's `when` cannot be evaluated; the change fired nothing."""


class PublishFailed(RtsError):
    """A stream of `[[streams]]` does not take changes, or is not reached; they wait in the journal."""


class ChangesLost(RtsError):
    """Retention deleted changes before they were published to a stream: its consumers lack them."""


class AnotherInstance(RtsError):
    """Another rtsd holds the state directory."""

    exit_status = 75


class AddressInUse(RtsError):
    """The gateway's address or the control socket's path is taken."""


class StoreError(RtsError):
    """The database file is not usable; it was left untouched."""

    http_status = 503


class ForeignDatabase(StoreError):
    """A SQLite file that rtsd did not create."""


class NewerDatabase(StoreError):
    """A database migrated by a later version of rtsd."""


class UnfinishedMove(StoreError):
    """The mirror is what a move left that did not come to its end: nobody knows what is missing."""


class CorruptDatabase(StoreError):
    """Not readable as SQLite, or fails SQLite's integrity checks."""


class StorageUnwritable(StoreError):
    """The directory or file is read-only, missing, or owned by somebody else."""


class StorageFull(StoreError):
    """No space is left on the device."""


class LeaseLost(StoreError):
    """Another node leads on this database now, as this one did not renew its lease in time."""

    exit_status = 75


class StorageAway(StoreError):
    """The database server does not answer, or is starting; rtsd continues by itself once it does."""


class TableLocked(StoreError):
    """Other transactions use a table, so that its columns can't change now; rtsd tries again."""


class StorageFailed(StoreError):
    """The disk reported an I/O error: durability is not guaranteed until a restart has recovered."""


class SalesforceError(RtsError):
    """Salesforce answered with an error.

    `status` is the HTTP status (0 without a response), `reason` its errorCode such as `INVALID_FIELD`.
    """

    http_status = 502

    def __init__(self, message: str, do: str = "", *, status: int = 0, reason: str = "") -> None:
        super().__init__(message, do)
        self.status = status
        self.reason = reason


class AuthenticationFailed(SalesforceError):
    """Salesforce refused the login; the message carries its reason."""


class SessionExpired(SalesforceError):
    """The access token is no longer valid (REST 401 INVALID_SESSION_ID)."""


class OrgUnreachable(SalesforceError):
    """No connection, a time-out, or server errors that outlasted the retries."""


class QuotaExhausted(SalesforceError):
    """A daily allocation, the reserve or a cap of rtsd's is used up; the work is deferred, not failed."""

    http_status = 429
    goes_on_at: int | None = None
    """The time at which enough usage leaves the rolling 24 hours (ms since 1970), if known."""
    try_at: int = 0
    """The time of the next attempt (ms since 1970): `goes_on_at`, or earlier to probe for room."""


class BulkRefused(SalesforceError):
    """The Bulk API does not support this object or query; REST may."""


class BulkFailed(SalesforceError):
    """A Bulk job ended Failed or Aborted, or its result is incomplete."""


class StreamRefused(SalesforceError):
    """The Pub/Sub API ended the subscription: rights, configuration or allocation. `reason` is its code."""


class DeployFailed(SalesforceError):
    """A metadata deployment or anonymous Apex failed; `details` has a line for each reason.

    `untested` are the classes and Apex triggers that the tests did not cover, and the test methods that
    failed, as `Class.method`.
    """

    def __init__(
        self, message: str, do: str = "", details: tuple[str, ...] = (), untested: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, do)
        self.details = details
        self.untested = untested


class ObjectUnavailable(SalesforceError):
    """The object or a field was removed, or is hidden from the sync user."""


class PushError(RtsError):
    """A push that the gateway rejects; nothing of it was stored."""

    http_status = 400


class MalformedPush(PushError):
    """Not a document of contract section 3."""


class BadSignature(PushError):
    """The signature is missing or wrong, or its timestamp is more than 300 s off."""

    http_status = 401


class WrongOrg(PushError):
    """Correctly signed, but for another org: a sandbox copy that kept production's token."""

    http_status = 403


class UnsealedPush(PushError):
    """Correctly signed, but published readable, although the configuration demands seals."""


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
    """The push cannot be stored now, because of overload or storage; the sender retries.

    Nothing was kept, unless storing it took too long: then it may be kept later.
    """

    http_status = 503

    def __init__(self, message: str, do: str = "", *, retry_after_s: int = 5) -> None:
        super().__init__(message, do)
        self.retry_after_s = retry_after_s
