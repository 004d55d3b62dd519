"""TLS at the gateway itself: its deadline, and a certificate that is replaced while it runs."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import re
import signal
import ssl
import time
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.processes.rig import TOKEN, Rig, standing
from tests.support.processes.sender import signed
from tests.support.waiting import eventually


def write_pair(place: Path, name: str) -> None:
    """Write a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (place / "tls.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = place / "tls.key"
    secret.touch(mode=0o600)
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


async def shown(rig: Rig, context: ssl.SSLContext) -> str:
    """Push over TLS; return the name in the certificate that was shown."""
    body = f'{{"v":1,"kind":"heartbeat","org":"{rig.org.info["org_id"]}"}}'.encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, ssl=context)
    writer.write(signed(TOKEN, f"tls-{time.monotonic_ns()}", body).request)
    assert (await reader.readline()).split()[1] == b"200"
    certificate = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(True))
    writer.close()
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


async def test_tls_and_its_certificate() -> None:
    """TLS 1.2 at least; a silent handshake is ended; a new pair is taken up, half of one changes nothing."""
    async with standing({"Account": 1}) as rig:
        write_pair(rig.place, "first")
        rig.write_config(tls_certificate="tls.pem", tls_private_key="tls.key")
        daemon = await rig.start()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert await shown(rig, context) == "first"

        metrics = (await daemon.client.get("/metrics")).decode()
        (ends,) = re.findall(r"(?m)^rtsd_certificate_ends_timestamp_seconds (\S+)", metrics)
        assert 29 * 86_400 < float(ends) - time.time() < 31 * 86_400

        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        assert await reader.read() == b""
        assert 3 < time.monotonic() - began < 6
        writer.close()

        held, writer = await asyncio.open_connection("127.0.0.1", rig.port, ssl=context)
        write_pair(rig.place, "second")
        daemon.process.send_signal(signal.SIGHUP)
        await eventually(lambda: '"event": "reloaded"' in rig.log.read_text(), "the reload is logged")
        assert await shown(rig, context) == "second"
        body = f'{{"v":1,"kind":"heartbeat","org":"{rig.org.info["org_id"]}"}}'.encode()
        writer.write(signed(TOKEN, "held", body).request)
        assert (await held.readline()).split()[1] == b"200", "a connection was lost by the reload"
        writer.close()

        key = (rig.place / "tls.key").read_bytes()
        write_pair(rig.place, "third")
        (rig.place / "tls.key").write_bytes(key)
        daemon.process.send_signal(signal.SIGHUP)
        await eventually(lambda: '"event": "not reloaded"' in rig.log.read_text(), "the refusal is logged")
        assert await shown(rig, context) == "second"

        old = ssl.create_default_context()
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        try:
            await asyncio.open_connection("127.0.0.1", rig.port, ssl=old)
        except (ssl.SSLError, ConnectionError):
            pass
        else:
            raise AssertionError("TLS 1.1 was taken")
