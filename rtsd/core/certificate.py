"""Certificates: a signed, tamper-evident statement about the mirror (Ed25519, RFC 8032).

The signature covers the document without `signature`, as JSON with sorted keys and no spaces.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES = 32


def sign(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """Return the document with the public key and the signature; `key` is the 32 bytes of a private key."""
    private = Ed25519PrivateKey.from_private_bytes(key)
    stated = {**document, "public_key": _text(private.public_key().public_bytes_raw())}
    return {**stated, "signature": _text(private.sign(_canonical(stated)))}


def is_intact(certificate: Mapping[str, Any]) -> bool:
    """Whether the signature matches. To check who signed, compare `public_key` with the key you trust."""
    try:
        stated = {name: value for name, value in certificate.items() if name != "signature"}
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(certificate["public_key"]))
        public.verify(base64.b64decode(certificate["signature"]), _canonical(stated))
    except (InvalidSignature, KeyError, ValueError, TypeError):
        return False
    return True


def _canonical(document: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(document, order="sorted")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
