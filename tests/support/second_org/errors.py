"""What the org refuses, in the shape each API gives it."""

from __future__ import annotations


class Refused(Exception):
    """An answer that is an error: REST's array of one object (REST API guide, Status Codes)."""

    def __init__(self, status: int, code: str, message: str, fields: list[str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: list[dict[str, object]] = [{"errorCode": code, "message": message}]
        if fields:
            self.body[0]["fields"] = fields


def malformed(why: str) -> Refused:
    """SOQL that is none."""
    return Refused(400, "MALFORMED_QUERY", f"\n{why}\n^\nERROR at Row:1:Column:1\nunexpected token: '{why}'")


def no_field(name: str, entity: str) -> Refused:
    """A column that is not there, or that the user may not see: the org does not say which."""
    text = (
        f"\nSELECT {name}\n       ^\nERROR at Row:1:Column:8\nNo such column '{name}' on entity '{entity}'."
    )
    return Refused(400, "INVALID_FIELD", text)


def no_object(name: str) -> Refused:
    """An object that is not there, or that the user may not see."""
    return Refused(400, "INVALID_TYPE", f"sObject type '{name}' is not supported.")
