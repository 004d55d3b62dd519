"""Sealed documents: encrypted, because whoever may read a platform event reads all of it.

AES-256-CBC with PKCS#7, after 16 bytes of IV (Apex Reference, `Crypto.encryptWithManagedIV`); the key is the
HMAC-SHA256 of `rts.seal.v1` under the token.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rtsd.errors import MalformedPush

_PURPOSE = b"rts.seal.v1"
_BLOCK = 16


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
