"""An operator of NATS with an account and a user, as `nsc` makes them: keys, JWTs and a credentials file."""

from __future__ import annotations

import base64
import binascii
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

PREFIXES = {"O": 14 << 3, "A": 0, "U": 20 << 3}
_SEED = 18 << 3
UNLIMITED = -1


def _encoded(raw: bytes) -> str:
    checksum = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + checksum).decode().rstrip("=")


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    """A pair of keys of a kind: O, A or U."""

    def __init__(self, kind: str) -> None:
        self._private = Ed25519PrivateKey.generate()
        prefix = PREFIXES[kind]
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        secret = self._private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        self.public = _encoded(bytes([prefix]) + public)
        self.seed = _encoded(bytes([_SEED | prefix >> 5, (prefix & 31) << 3]) + secret)

    def sign(self, data: bytes) -> bytes:
        """Sign."""
        return self._private.sign(data)

    def jwt(self, subject: str, kind: str, **claims: Any) -> str:
        """Issue a JWT."""
        own = {"type": kind, "version": 2, **claims}
        body = {"jti": "test", "iat": int(time.time()), "iss": self.public, "name": kind, "sub": subject}
        head = _segment(json.dumps({"typ": "JWT", "alg": "ed25519-nkey"}).encode())
        text = f"{head}.{_segment(json.dumps({**body, 'nats': own}).encode())}"
        return f"{text}.{_segment(self.sign(text.encode()))}"


class Operator:
    """An operator, its system account, and an account with JetStream that has a user."""

    def __init__(self) -> None:
        self.operator, self.system, self.account, self.user = Key("O"), Key("A"), Key("A"), Key("U")
        self.user_jwt = self.account.jwt(
            self.user.public, "user", subs=-1, data=-1, payload=-1, pub={}, sub={}
        )

    def config(self) -> str:
        """The lines of a server's configuration that trust it."""
        limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), UNLIMITED)
        stores = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
        account = self.operator.jwt(
            self.account.public, "account", limits={**limits, **stores, "wildcards": True}
        )
        system = self.operator.jwt(self.system.public, "account", limits={**limits, "wildcards": True})
        operator = self.operator.jwt(self.operator.public, "operator", system_account=self.system.public)
        return f"""operator: {operator}
resolver: MEMORY
system_account: {self.system.public}
resolver_preload: {{ {self.account.public}: {account}, {self.system.public}: {system} }}"""

    def signature(self, nonce: str) -> bytes:
        """The user's signature of a challenge, as nats-py wants it."""
        return base64.b64encode(self.user.sign(nonce.encode()))

    def credentials(self, seed: str) -> str:
        """The text of a credentials file."""
        return (
            f"-----BEGIN NATS USER JWT-----\n{self.user_jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
