"""The gateway's certificate, which can be replaced while it runs."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from rtsd.errors import ConfigError


class Certificate:
    """A TLS context; `load` puts another certificate into it, for handshakes from then on."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Raises ConfigError when the pair cannot be used."""
        self.ends_at = 0.0
        """When the one in use ends, in unix seconds."""
        self.context = _context()
        self.load(certificate, key)

    def load(self, certificate: Path, key: Path | None) -> None:
        """Take a certificate and its key. Raises ConfigError, and goes on with the ones it has."""
        try:
            # A key that does not fit would leave the live context with half of the pair: try them elsewhere.
            for context in (_context(), self.context):
                context.load_cert_chain(certificate, key)
            found = x509.load_pem_x509_certificates(certificate.read_bytes())
            self.ends_at = found[0].not_valid_after_utc.timestamp()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError(
                f"gateway.tls_certificate cannot be used: {error}", "give a PEM certificate and its key"
            ) from error


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
