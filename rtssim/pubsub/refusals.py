"""Errors of the API: a gRPC status, and the code in the trailer `error-code` (Pub/Sub API guide, Errors)."""

from __future__ import annotations

import grpc

PREFIX = "sfdc.platform.eventbus.grpc."
_STATUSES = {
    "service.auth.error": grpc.StatusCode.UNAUTHENTICATED,
    "service.auth.headers.invalid": grpc.StatusCode.UNAUTHENTICATED,
    "service.unavailable": grpc.StatusCode.UNAVAILABLE,
    "service.protection.triggered": grpc.StatusCode.UNAVAILABLE,
    "service.protection.stream.limit.triggered": grpc.StatusCode.UNAVAILABLE,
    "topic.api.unavailable": grpc.StatusCode.UNAVAILABLE,
    "schema.api.unavailable": grpc.StatusCode.UNAVAILABLE,
    "subscription.internal.error": grpc.StatusCode.INTERNAL,
    "subscription.limit.exceeded": grpc.StatusCode.INTERNAL,
    "concurrent.client.limit.exceeded": grpc.StatusCode.INTERNAL,
    "service.tenant.license": grpc.StatusCode.INTERNAL,
    "topic.not.found": grpc.StatusCode.NOT_FOUND,
    "topic.meta.permission": grpc.StatusCode.NOT_FOUND,
    "topic.validation.empty": grpc.StatusCode.NOT_FOUND,
    "subscription.topic.cannot.subscribe": grpc.StatusCode.NOT_FOUND,
    "schema.meta.permission": grpc.StatusCode.NOT_FOUND,
}


class Refused(Exception):
    """A call or stream that ends with an error; `code` is Salesforce's, without the common prefix."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message or f"The request was refused: {code}"

    @property
    def status(self) -> grpc.StatusCode:
        """The gRPC status; INVALID_ARGUMENT for every mistake of the client's."""
        return _STATUSES.get(self.code, grpc.StatusCode.INVALID_ARGUMENT)

    def trailers(self, rpc_id: str) -> tuple[tuple[str, str], ...]:
        """Return the trailing metadata."""
        return (("error-code", PREFIX + self.code), ("rpc-id", rpc_id), ("type", self.status.name))
