"""The one exception the simulated org answers with."""

from __future__ import annotations

from collections.abc import Sequence


class OrgError(Exception):
    """A refusal by the org; on the wire `[{"message", "errorCode", "fields"?}]` with `status`.

    `status` is the HTTP status, `code` Salesforce's errorCode, `fields` the names a write error is about.
    """

    def __init__(self, status: int, code: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.fields = tuple(fields)
