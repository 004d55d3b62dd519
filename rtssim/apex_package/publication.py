"""Publication of the package's documents as platform events instead of callouts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rtssim.apex_package.callouts import push_stamp, sign, timestamp
from rtssim.apex_package.relay import REFUSAL
from rtssim.apex_package.settings import PUSH_EVENT
from rtssim.bus.event_bus import LATE_S

if TYPE_CHECKING:
    from rtssim.apex_package.settings import PackageSettings
    from rtssim.bus.channels import Channels
    from rtssim.bus.event_bus import EventBus
    from rtssim.faults import Faults
    from rtssim.org import Org
    from rtssim.switches import ApiSwitches, EventSwitches

BLOCK_BITS, BLOCK_BYTES = 128, 16


class Publication:
    """Publishes documents in the parts that fit an event."""

    def __init__(
        self,
        org: Org,
        bus: EventBus,
        channels: Channels,
        faults: Faults,
        *,
        switches: EventSwitches,
        api_switches: ApiSwitches,
    ) -> None:
        self._org = org
        self._faults = faults
        self._bus = bus
        self._channels = channels
        self._switches = switches
        self._api_switches = api_switches

    def publish(self, settings: PackageSettings, message_id: str, document: dict[str, Any]) -> str | None:
        """Sign a document and publish it, sealed if settings or switch say so; return why it was refused."""
        refused = self._faults.hit(("push_refused",))
        if refused is not None:
            return str(refused.parameters.get("message", REFUSAL))
        payload = msgspec.json.encode({**document, "sent": push_stamp(self._org.clock.now())})
        is_sealed = settings.sealed or self._switches.push_sealed
        token = settings.token
        if is_sealed:
            payload = sealed(token, payload)
        signed_at = timestamp(self._org.clock, self._api_switches)
        signature = sign(token, message_id, signed_at, payload)
        text = base64.b64encode(payload).decode()
        size = self._switches.push_part_chars
        parts = [text[start : start + size] for start in range(0, len(text), size)]
        now = int(self._org.clock.now().timestamp() * 1000)
        schema = self._channels.schema(PUSH_EVENT)
        late = self._faults.hit(("event_late",), PUSH_EVENT)
        for number, part in enumerate(parts, start=1):
            values = {
                "CreatedDate": now,
                "CreatedById": self._org.sync_user.user_id,
                "EventUuid": str(uuid.uuid4()),
                "Id__c": message_id,
                "Timestamp__c": signed_at,
                "Signature__c": signature,
                "Part__c": float(number),
                "Parts__c": float(len(parts)),
                "Sealed__c": is_sealed,
                "Body__c": part,
            }
            publish = partial(self._bus.publish, PUSH_EVENT, schema, values)
            if late is None:
                publish()
            else:
                self._bus.publish_late(late.number("seconds", LATE_S), publish)
        return None


def sealed(token: str, payload: bytes) -> bytes:
    """Encrypt as `Crypto.encryptWithManagedIV('AES256', key, payload)` does: IV, then AES-CBC with PKCS#7."""
    key = hmac.new(token.encode(), b"rts.seal.v1", hashlib.sha256).digest()
    vector = os.urandom(BLOCK_BYTES)
    padder = padding.PKCS7(BLOCK_BITS).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return vector + encryptor.update(padder.update(payload) + padder.finalize()) + encryptor.finalize()
