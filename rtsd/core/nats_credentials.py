"""What `credentials_file` of a stream has: a NATS credentials file, `user:password`, or a token.

The key signs here, with cryptography: nats-py would need two packages more for it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_BLOCK = re.compile(r"-----BEGIN (NATS USER JWT|USER NKEY SEED)-----\s*(\S+)\s*-+END \1-+")
_PREFIX_BYTES, _CHECKSUM_BYTES, _SEED_BYTES = 2, 2, 32
"""A seed in base32: two bytes that name its kind, the key, and a checksum (nkeys' README, NKeys)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to log in; what is empty is not sent."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    jwt: str = field(default="", repr=False)
    key: Ed25519PrivateKey | None = field(default=None, repr=False)

    def signature(self, nonce: str) -> bytes:
        """Return the signature of the server's challenge, in base64."""
        if self.key is None:
            raise AssertionError("only credentials with a key sign")
        return base64.b64encode(self.key.sign(nonce.encode()))


def parse(text: str) -> Credentials:
    """Parse the text of a credentials file. Raises ValueError, worded `what is wrong; what is allowed`."""
    if "-----BEGIN" in text:
        found = dict(_BLOCK.findall(text))
        if len(found) != 2:
            raise ValueError("lacks a JWT or a seed; a file as `nsc generate creds` writes it")
        return Credentials(jwt=found["NATS USER JWT"], key=_key(found["USER NKEY SEED"]))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        raise ValueError("has several lines; a .creds file, or one line with user:password or a token")
    user, colon, password = lines[0].partition(":")
    return Credentials(user=user, password=password) if colon else Credentials(token=user)


def _key(seed: str) -> Ed25519PrivateKey:
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error:
        raw = b""
    body, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    is_whole = len(body) == _PREFIX_BYTES + _SEED_BYTES
    if not is_whole or binascii.crc_hqx(body, 0) != int.from_bytes(checksum, "little"):
        raise ValueError("has a seed that is not whole; the file as `nsc generate creds` wrote it")
    return Ed25519PrivateKey.from_private_bytes(body[_PREFIX_BYTES:])
