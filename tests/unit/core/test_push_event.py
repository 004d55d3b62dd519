"""The package's event: parts in any order, sealed documents, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rtsd.core.event_parts import MOST_HELD, PATIENCE, Document, Part, PartAssembly
from rtsd.core.payload import Test as AdminPing
from rtsd.core.position import Position
from rtsd.core.push_event import opened, part_of
from rtsd.core.seal import CHANGE_OVER_S, SealRule, unseal
from rtsd.core.signature import SignatureHeaders, sign
from rtsd.errors import BadSignature, MalformedPush, UnsealedPush, WrongOrg

TOKEN, OTHER = "tökén".encode(), b"other"
ORG = "00Dxx0000001gEREAY"
BODY = json.dumps({"v": 1, "kind": "test", "org": ORG}).encode()
LENIENT = SealRule(demanded=False)


def signed(payload: bytes, token: bytes = TOKEN) -> SignatureHeaders:
    """The signature of a payload, made long ago."""
    return SignatureHeaders("msg_1", "1600000000", sign(token, "msg_1", 1_600_000_000, payload))


def document(payload: bytes, *, sealed: bool = False, token: bytes = TOKEN) -> Document:
    """A complete document."""
    return Document(signed(payload, token), sealed, base64.b64encode(payload).decode())


def seal(payload: bytes, token: bytes = TOKEN) -> bytes:
    """A payload sealed as the contract words it, without the code under test."""
    key = hmac.new(token, b"rts.seal.v1", hashlib.sha256).digest()
    vector = bytes(range(16))
    rest = 16 - len(payload) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    return vector + encryptor.update(payload + bytes([rest]) * rest) + encryptor.finalize()


def part(number: int, total: int, text: str = "x", name: str = "msg_1") -> Part:
    """A part of a document."""
    return Part(SignatureHeaders(name, "1600000000", "v1,x"), number, total, sealed=False, text=text)


def at(replay_id: str) -> Position:
    """A position."""
    return Position(replay_id.encode(), 1)


def test_an_open_document() -> None:
    """Verified whatever its age, parsed, of the right org."""
    found = opened(document(BODY), (OTHER, TOKEN), ORG, LENIENT)
    assert found.webhook_id == "msg_1"
    assert isinstance(found.push, AdminPing)
    assert opened(document(BODY), (TOKEN,), None, LENIENT).push.org == ORG


def test_a_sealed_document() -> None:
    """Opened with the token that signed it, during a rotation too; the signature is over what is sealed."""
    for length in (0, 15, 16, 17):
        assert unseal(TOKEN, seal(bytes(length))) == bytes(length)
    assert opened(document(seal(BODY), sealed=True), (OTHER, TOKEN), ORG, LENIENT).push.org == ORG


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (document(BODY, token=OTHER), BadSignature),
        (document(BODY)._replace(text=base64.b64encode(BODY + b" ").decode()), BadSignature),
        (document(BODY)._replace(text="not base64!"), MalformedPush),
        (document(b"{}"), MalformedPush),
        (document(BODY, sealed=True), MalformedPush),
        (document(seal(BODY)), MalformedPush),
        (document(seal(BODY, OTHER), sealed=True), MalformedPush),
        (document(b"short", sealed=True), MalformedPush),
        (document(BODY.replace(b"gER", b"gES")), WrongOrg),
    ],
)
def test_what_is_refused(refused: Document, error: type[Exception]) -> None:
    """Wrong tokens, altered bodies, other documents, bodies sealed otherwise than they say, other orgs."""
    with pytest.raises(error):
        opened(refused, (TOKEN,), ORG, LENIENT)


def test_an_event_is_read() -> None:
    """Numbers arrive as doubles; an empty checkbox is false."""
    values: dict[str, Any] = {
        "CreatedDate": 1,
        "Id__c": "msg_1",
        "Timestamp__c": "1600000000",
        "Signature__c": "v1,x",
        "Part__c": 2.0,
        "Parts__c": 3.0,
        "Sealed__c": None,
        "Body__c": "x",
    }
    assert part_of(values) == part(2, 3)
    for name, value in {"Body__c": None, "Part__c": 1.5, "Id__c": 7, "Parts__c": None}.items():
        with pytest.raises(MalformedPush):
            part_of({**values, name: value})


def test_parts_come_in_any_order_and_twice() -> None:
    """The last one completes the document; copies that come later are known."""
    texts = [f"text {number}" for number in range(1, 8)]
    order = list(range(1, 8))
    random.Random(1).shuffle(order)
    assembly = PartAssembly()
    for number in (*order[:-1], *order[:3]):
        assert assembly.add(part(number, 7, texts[number - 1]), at("before"), 0) is None
    whole = assembly.add(part(order[-1], 7, texts[order[-1] - 1]), at("before"), 0)
    assert whole is not None
    assert whole.text == "".join(texts)
    assert assembly.add(part(3, 7, texts[2]), at("later"), 0) is None
    assert assembly.incomplete == 0
    assert assembly.add(part(1, 1, "alone"), at(""), 0) is not None


def test_a_document_that_was_not_stored_completes_again() -> None:
    """Once the stream is read again from the position before it, its parts are not taken for copies."""
    assembly = PartAssembly()
    for _ in range(2):
        assert assembly.add(part(1, 2, "a"), at("1"), 0) is None
        whole = assembly.add(part(2, 2, "b"), at("2"), 0)
        assert whole is not None
        assert whole.text == "ab"
        assembly.clear()


def test_parts_of_different_documents_do_not_mix() -> None:
    """Nor those of a forged one with the same id."""
    assembly = PartAssembly()
    forged = part(2, 2, "forged")._replace(signed=SignatureHeaders("msg_1", "1600000000", "v1,forged"))
    assert assembly.add(part(1, 2, "a"), at("1"), 0) is None
    assert assembly.add(forged, at("2"), 0) is None
    assert assembly.add(part(1, 2, "c", "msg_2"), at("3"), 0) is None
    whole = assembly.add(part(2, 2, "b"), at("4"), 0)
    assert whole is not None
    assert whole.text == "ab"


def test_the_position_stays_before_what_is_incomplete() -> None:
    """So that a restart reads those parts again."""
    assembly = PartAssembly()
    assert assembly.resume_from(at("5")) == at("5")
    assembly.add(part(1, 2, "a"), at("5"), 0)
    assembly.add(part(1, 2, "c", "msg_2"), at("6"), 0)
    assert assembly.resume_from(at("9")) == at("5")
    assembly.add(part(2, 2, "b"), at("7"), 0)
    assert assembly.resume_from(at("9")) == at("6")
    assembly.clear()
    assert assembly.resume_from(at("9")) == at("9")


def test_what_stays_incomplete_is_given_up() -> None:
    """After ten minutes, or when too much is held; it is counted, so that the objects are read."""
    assembly = PartAssembly()
    assembly.add(part(1, 2), at("5"), 1_000)
    assert assembly.expire(1_000 + PATIENCE - 1) == []
    assert assembly.expire(1_000 + PATIENCE) == ["msg_1"]
    assert assembly.resume_from(at("9")) == at("9")
    half = "x" * (MOST_HELD // 2)
    for number in range(3):
        assembly.add(part(1, 2, half, f"msg_{number}"), at("5"), 0)
    assert assembly.incomplete == 2
    assert assembly.expire(0) == ["msg_0"]
    assert assembly.expire(0) == []


@pytest.mark.parametrize(("number", "total"), [(0, 1), (2, 1), (1, 0), (1, 129), (-1, 5)])
def test_impossible_parts(number: int, total: int) -> None:
    """Numbers beyond the document."""
    with pytest.raises(MalformedPush, match="cannot be"):
        PartAssembly().add(part(number, total), at(""), 0)


def accepts(rule: SealRule, signed_at: int, *, sealed: bool) -> bool:
    """Whether a document signed then is accepted."""
    try:
        rule.check(signed_at, sealed=sealed)
    except UnsealedPush:
        return False
    return True


def test_open_documents_are_refused_once_others_are_sealed() -> None:
    """Not before, so that a change-over loses nothing; nor what jobs signed that had begun before."""
    rule = SealRule(demanded=True)
    assert accepts(rule, 1_000, sealed=False)
    assert accepts(rule, 5_000, sealed=True)
    assert accepts(rule, 4_000, sealed=False)
    assert accepts(rule, 5_000 + CHANGE_OVER_S, sealed=False)
    assert not accepts(rule, 5_001 + CHANGE_OVER_S, sealed=False)
    assert accepts(rule, 9_000, sealed=True)
    assert not accepts(rule, 9_001, sealed=False)


def test_seals_that_nobody_demands_change_nothing() -> None:
    """Both kinds are accepted, in any order."""
    rule = SealRule(demanded=False)
    assert all(accepts(rule, at * 10_000, sealed=at % 2 == 0) for at in range(6))


def test_a_refused_document_is_verified_first() -> None:
    """A forged one does not begin the demand, and an open one is refused by its own name."""
    rule = SealRule(demanded=True)
    with pytest.raises(BadSignature):
        opened(document(seal(BODY), sealed=True, token=OTHER), (TOKEN,), ORG, rule)
    assert opened(document(BODY), (TOKEN,), ORG, rule).push.org == ORG
    rule.check(1_500_000_000, sealed=True)
    with pytest.raises(UnsealedPush, match="sealed = true"):
        opened(document(BODY), (TOKEN,), ORG, rule)
