"""What the org's package publishes: documents of contract section 3 as the platform event of section 8."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.support.second_org.bus import Bus
from tests.support.second_org.data import USER_ID
from tests.support.second_org.home import TOKEN
from tests.support.second_org.push import signed

TOPIC = "/event/RTS_Push__e"
_CUSTOM = {
    "Body__c": "string",
    "Sealed__c": "boolean",
    "Parts__c": "double",
    "Part__c": "double",
    "Campaign__c": "string",
    "Signature__c": "string",
    "Timestamp__c": "string",
    "Id__c": "string",
}
"""The custom fields; an admin has added one."""
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "RTS_Push__e",
    "namespace": "com.sforce.eventbus",
    "fields": [
        {"name": "CreatedDate", "type": "long"},
        {"name": "CreatedById", "type": "string"},
        *({"name": name, "type": ["null", kind]} for name, kind in _CUSTOM.items()),
        {"name": "EventUuid", "type": ["null", "string"]},
    ],
}


def sealed(payload: bytes, token: str = TOKEN) -> bytes:
    """AES-256-CBC as `Crypto.encryptWithManagedIV` makes it, under a key derived from the token."""
    key = hmac.new(token.encode(), b"rts.seal.v1", hashlib.sha256).digest()
    vector = os.urandom(16)
    padder = padding.PKCS7(128).padder()
    padded = padder.update(payload) + padder.finalize()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    return vector + encryptor.update(padded) + encryptor.finalize()


def events(
    document: Any, *, cut: int = 131_072, seal: bool = False, token: str = TOKEN, late_s: int = 0
) -> list[dict[str, Any]]:
    """The events of a document: parts of at most `cut` characters, the last one first."""
    payload = json.dumps(document, ensure_ascii=False).encode()
    payload = sealed(payload) if seal else payload
    headers = signed(payload, f"evt_{secrets.token_hex(8)}", token, late_s)
    body = base64.b64encode(payload).decode()
    parts = [body[start : start + cut] for start in range(0, len(body), cut)]
    told = [
        {
            "CreatedDate": int(time.time() * 1000),
            "CreatedById": USER_ID,
            "Id__c": headers["Webhook-Id"],
            "Timestamp__c": headers["Webhook-Timestamp"],
            "Signature__c": headers["Webhook-Signature"],
            "Part__c": float(number),
            "Parts__c": float(len(parts)),
            "Sealed__c": seal,
            "Body__c": part,
        }
        for number, part in enumerate(parts, 1)
    ]
    return told[::-1]


def register(bus: Bus) -> None:
    """Define the event."""
    bus.topics[TOPIC].schema_id = bus.register(SCHEMA)


def publish(bus: Bus, told: list[dict[str, Any]]) -> None:
    """Publish events."""
    for event in told:
        bus.publish(TOPIC, SCHEMA, event)
