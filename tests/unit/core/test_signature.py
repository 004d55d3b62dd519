"""Signatures after Standard Webhooks 1.0.0: vectors made here by hand, and everything that must not pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core.signature import SignatureHeaders, sign, verify
from rtsd.errors import BadSignature

NOW = 1_772_359_200
SECRET, OTHER = b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "zweiter-schlüssel".encode()
BODY = b'{"test": 2432232314}'


def made(secret: bytes, identity: str, timestamp: str, body: bytes) -> str:
    """A signature as the specification words it, without the code under test."""
    signed = identity.encode() + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


GOOD = made(SECRET, "msg_1", str(NOW), BODY)


def check(secrets: tuple[bytes, ...] = (SECRET,), **changes: Any) -> None:
    """Verify the good push with some of it changed."""
    given_ = {
        "webhook_id": "msg_1",
        "timestamp": str(NOW),
        "signatures": GOOD,
        "body": BODY,
        "now": NOW * 1000,
    }
    all_ = {**given_, **changes}
    stamp = SignatureHeaders(all_["webhook_id"], all_["timestamp"], all_["signatures"])
    verify(secrets, stamp, all_["body"], all_["now"])


def test_a_vector_of_the_standard() -> None:
    """The reference libraries' published vector (standard-webhooks, libraries/*/tests)."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    identity, timestamp = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330
    assert sign(secret, identity, timestamp, BODY) == signature
    verify((secret,), SignatureHeaders(identity, str(timestamp), signature), BODY, timestamp * 1000)


@given(
    st.binary(min_size=1, max_size=80), st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True), st.binary()
)
def test_what_others_sign_passes_and_what_we_sign_is_the_same(
    secret: bytes, identity: str, body: bytes
) -> None:
    """Two implementations agree for any key, id and body."""
    signature = made(secret, identity, str(NOW), body)
    assert sign(secret, identity, NOW, body) == signature
    check((secret,), webhook_id=identity, signatures=signature, body=body)


ACCEPTED: dict[str, dict[str, Any]] = {
    "as it was signed": {},
    "the newest second allowed": {"now": (NOW + 300) * 1000 + 999},
    "the oldest second allowed": {"now": (NOW - 300) * 1000},
    "after a wrong one": {"signatures": made(OTHER, "msg_1", str(NOW), BODY) + " " + GOOD},
    "before one of another kind": {"signatures": GOOD + " v1a,abc"},
    "the last of eight": {"signatures": " ".join(["v1,AAAA"] * 7 + [GOOD])},
}


@pytest.mark.parametrize("changes", [*ACCEPTED.values()], ids=[*ACCEPTED])
def test_accepted(changes: dict[str, Any]) -> None:
    """What the specification allows."""
    check(**changes)


def test_every_secret_of_a_rotation_is_accepted() -> None:
    """Old and new token are both good, whichever comes first in the file."""
    for secrets in ((SECRET, OTHER), (OTHER, SECRET), (b"x", OTHER, SECRET)):
        check(secrets)
        check(secrets, signatures=made(OTHER, "msg_1", str(NOW), BODY)) if OTHER in secrets else None


REFUSED: dict[str, dict[str, Any]] = {
    "another body": {"body": BODY + b" "},
    "empty body": {"body": b""},
    "another id": {"webhook_id": "msg_2"},
    "no id": {"webhook_id": ""},
    "id too long": {"webhook_id": "a" * 129},
    "id with a dot": {"webhook_id": "msg.1", "signatures": made(SECRET, "msg.1", str(NOW), BODY)},
    "id with a space": {"webhook_id": "msg 1", "signatures": made(SECRET, "msg 1", str(NOW), BODY)},
    "id with a newline": {"webhook_id": "msg_1\n", "signatures": made(SECRET, "msg_1\n", str(NOW), BODY)},
    "id of other letters": {"webhook_id": "mäg", "signatures": made(SECRET, "mäg", str(NOW), BODY)},
    "no time": {"timestamp": ""},
    "time in spaces": {"timestamp": f" {NOW} "},
    "time with a newline": {"timestamp": f"{NOW}\n"},
    "time with a fraction": {"timestamp": f"{NOW}.9"},
    "time in ms": {"timestamp": f"{NOW}000"},
    "time with a sign": {"timestamp": f"+{NOW}"[:10]},
    "time in other digits": {"timestamp": "١٧٧٢٣٥٩٢٠٠"},
    "another time": {"timestamp": str(NOW + 1)},
    "a second too old": {"now": (NOW + 301) * 1000},
    "a second too new": {"now": (NOW - 301) * 1000},
    "no signature": {"signatures": ""},
    "only spaces": {"signatures": "   "},
    "no version": {"signatures": GOOD.removeprefix("v1,")},
    "another version": {"signatures": GOOD.replace("v1,", "v2,")},
    "asymmetric version": {"signatures": GOOD.replace("v1,", "v1a,")},
    "no comma": {"signatures": GOOD.replace(",", "")},
    "two commas": {"signatures": GOOD.replace(",", ",,")},
    "empty value": {"signatures": "v1,"},
    "truncated": {"signatures": GOOD[:-2]},
    "lengthened": {"signatures": GOOD + "A"},
    "lower case": {"signatures": GOOD.lower()},
    "not ascii": {"signatures": "v1,é" + GOOD},
    "separated by commas": {"signatures": "v1,AAAA," + GOOD},
    "by another secret": {"signatures": made(OTHER, "msg_1", str(NOW), BODY)},
    "hex instead of base64": {
        "signatures": "v1," + hmac.new(SECRET, b"msg_1.%d." % NOW + BODY, hashlib.sha256).hexdigest()
    },
    "nine signatures": {"signatures": " ".join(["v1,AAAA"] * 8 + [GOOD])},
    "a header of kilobytes": {"signatures": GOOD + " v1," + "A" * 1_000},
}


@pytest.mark.parametrize("changes", [*REFUSED.values()], ids=[*REFUSED])
def test_refused(changes: dict[str, Any]) -> None:
    """Charter 29: only BadSignature, whatever comes."""
    with pytest.raises(BadSignature):
        check(**changes)


def test_the_boundary_between_id_and_body_cannot_be_shifted() -> None:
    """What was signed as id `m` and body `T.…` must not pass as id `m.T`."""
    signature = made(SECRET, "m", str(NOW), f"{NOW}.rest".encode())
    with pytest.raises(BadSignature):
        check(webhook_id=f"m.{NOW}", signatures=signature, body=b"rest")


def test_no_secret_lets_nobody_in() -> None:
    """Without a token file there is nothing to match."""
    with pytest.raises(BadSignature):
        check(())


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=80), st.binary(max_size=40))
def test_noise_is_refused_in_one_way(identity: str, timestamp: str, signatures: str, body: bytes) -> None:
    """No header breaks the check."""
    with pytest.raises(BadSignature):
        check(webhook_id=identity, timestamp=timestamp, signatures=signatures, body=body)


def test_the_messages_name_the_clock_or_the_token() -> None:
    """Who reads it knows where to look; no secret and no expected signature is in it."""
    with pytest.raises(BadSignature) as skewed:
        check(now=(NOW + 4_000) * 1000)
    assert "clock" in str(skewed.value)
    with pytest.raises(BadSignature) as wrong:
        check(body=b"x")
    assert "token_file" in str(wrong.value)
    assert made(SECRET, "msg_1", str(NOW), b"x") not in str(wrong.value)


CHARACTERS = "v1,+/=Aa0 \t\r\n\0\x7f.é\U0001f600"


@pytest.mark.parametrize("secrets", [(SECRET,), (OTHER, SECRET)], ids=["one secret", "two secrets"])
def test_no_change_of_a_single_character_passes(secrets: tuple[bytes, ...]) -> None:
    """Every header with a character changed, added or left out anywhere, by hundreds: refused."""
    good = {"webhook_id": "msg_1", "timestamp": str(NOW), "signatures": GOOD}
    tried = 0
    for name, text in good.items():
        for place in range(len(text) + 1):
            changed = {text[:place] + other + text[place:] for other in CHARACTERS}
            changed |= {text[:place] + other + text[place + 1 :] for other in CHARACTERS}
            changed |= {text[:place] + text[place + 1 :]}
            for variant in changed - {text}:
                if name == "signatures" and GOOD in variant.split(" "):
                    continue  # an empty entry beside the right one
                with pytest.raises(BadSignature):
                    check(secrets, **{name: variant})
                tried += 1
    assert tried > 1_000


def test_the_secret_that_signed_is_told() -> None:
    """During a rotation a sealed document is opened by a key derived from it."""
    signed = SignatureHeaders("msg_1", str(NOW), made(OTHER, "msg_1", str(NOW), BODY))
    assert verify((SECRET, OTHER), signed, BODY, NOW * 1000) == OTHER


def test_an_event_has_no_age() -> None:
    """The bus keeps it for days; its signature has to be right all the same."""
    signed = SignatureHeaders("msg_1", str(NOW), GOOD)
    late = (NOW + 3 * 86_400) * 1000
    assert verify((SECRET,), signed, BODY, late, tolerance_s=None) == SECRET
    with pytest.raises(BadSignature, match="does not match"):
        verify((SECRET,), signed, BODY + b" ", late, tolerance_s=None)
    with pytest.raises(BadSignature, match="300 s"):
        verify((SECRET,), signed, BODY, late)
