"""The gateway's TLS certificate, which can be replaced at run time."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from rtsd.errors import ConfigError


class Certificate:
    """A TLS context whose certificate `load` replaces for subsequent handshakes."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Raises ConfigError if certificate and key are not usable."""
        self.ends_at = 0.0
        """The time at which the current certificate expires, in unix seconds."""
        self.context = _context()
        self.load(certificate, key)

    def load(self, certificate: Path, key: Path | None) -> None:
        """Load a certificate and its key. Raises ConfigError and keeps the current pair."""
        try:
            # a mismatched key would leave the live context with half of the pair: try a new context first
            for context in (_context(), self.context):
                context.load_cert_chain(certificate, key)
            found = x509.load_pem_x509_certificates(certificate.read_bytes())
            self.ends_at = found[0].not_valid_after_utc.timestamp()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError(
                f"gateway.tls_certificate cannot be used: {error}",
                "set it to a PEM certificate that matches its key",
            ) from error


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
