"""Sealed documents: encrypted, because whoever may read a platform event reads all of it.

AES-256-CBC with PKCS#7, after 16 bytes of IV (Apex Reference, `Crypto.encryptWithManagedIV`); the key is the
HMAC-SHA256 of `rts.seal.v1` under the token.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rtsd.errors import MalformedPush, UnsealedPush

CHANGE_OVER_S = 600
"""How long after the first sealed document others may have been signed open: jobs that had begun before."""
_PURPOSE = b"rts.seal.v1"
_BLOCK = 16


class SealRule:
    """Whether open documents are refused: where seals are demanded, once the package has begun to seal.

    Until then they are accepted, so that nothing is lost between the demand and the package's new settings.
    """

    def __init__(self, *, demanded: bool) -> None:
        self.demanded = demanded
        self.since: int | None = None
        """When the first sealed document since the demand was signed, in Unix seconds."""

    def check(self, signed_at: int, *, sealed: bool) -> None:
        """Take a verified document into account, signed at that time (Unix s). Raises UnsealedPush."""
        if not self.demanded:
            return
        if sealed:
            self.since = signed_at if self.since is None else min(self.since, signed_at)
        elif self.since is not None and signed_at > self.since + CHANGE_OVER_S:
            raise UnsealedPush(
                "an open document, although [push] sealed = true and the package has sealed others",
                "find out who cleared Sealed__c in RTS_Settings__c; `rtsd package deploy` sets it again",
            )


def unseal(token: bytes, payload: bytes) -> bytes:
    """Return the document of a sealed payload. Raises MalformedPush if it is not sealed with this token.

    Verify the payload's signature first: the padding is no proof of anything.
    """
    key = hmac.digest(token, _PURPOSE, "sha256")
    vector, sealed = payload[:_BLOCK], payload[_BLOCK:]
    try:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        unpadder = padding.PKCS7(_BLOCK * 8).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise MalformedPush("the sealed document cannot be opened with the token that signed it") from None
