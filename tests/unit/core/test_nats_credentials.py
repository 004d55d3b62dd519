"""Credentials of NATS: files of nsc, passwords, tokens, and what is none of them."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rtsd.core.nats_credentials import parse

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
"""A pair of keys from NATS's documentation (NKeys)."""
FILE = f"""-----BEGIN NATS USER JWT-----
eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.e30.c2lnbmF0dXJl
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
{SEED}
------END USER NKEY SEED------
"""


def test_a_file_of_nsc_signs_with_its_key() -> None:
    """The signature holds for the public key that belongs to the seed."""
    found = parse(FILE)
    assert found.jwt == "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.e30.c2lnbmF0dXJl"
    raw = base64.b32decode(PUBLIC)[1:-2]
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(found.signature("nonce")), b"nonce")
    assert SEED not in repr(found)


def test_a_line_is_a_password_or_a_token() -> None:
    """A password may have a colon."""
    found = parse("ann:pass:word\n")
    assert (found.user, found.password, found.token) == ("ann", "pass:word", "")
    found = parse("\n token-1 \n")
    assert (found.user, found.password, found.token) == ("", "", "token-1")
    assert "token-1" not in repr(found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (FILE.replace("USER NKEY SEED", "X"), "lacks a JWT or a seed"),
        (FILE.replace("NATS USER JWT", "X"), "lacks a JWT or a seed"),
        (FILE.replace(SEED, SEED[:-1] + "A"), "a seed that is not whole"),
        (FILE.replace(SEED, "A B"), "lacks a JWT or a seed"),
        (FILE.replace(SEED, "SUA1"), "a seed that is not whole"),
        ("ann:one\nbob:two", "has several lines"),
    ],
)
def test_what_is_none_is_refused(text: str, reason: str) -> None:
    """With what is wrong, and without the secret."""
    with pytest.raises(ValueError, match=reason) as refused:
        parse(text)
    assert SEED[:10] not in str(refused.value)
