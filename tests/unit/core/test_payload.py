"""Push documents: what is one, and that nothing else ever gets further than MalformedPush."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.core import payload
from rtsd.core.payload import Changes, Heartbeat, encode_push, observed_at, parse_push, read_push
from rtsd.errors import MalformedPush

ORG, CONTACT = "00Dxx0000001gPFEAY", "003q000000KvQ1tAAF"


def changes(*elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A push of changes as a document."""
    return {"v": 1, "kind": "changes", "org": ORG, "changes": list(elements), **more}


def element(**more: Any) -> dict[str, Any]:
    """One change as a document."""
    return {"object": "Contact", "op": "update", "id": CONTACT, **more}


def parse(document: Any) -> Any:
    """Parse a document after its trip over the wire."""
    return parse_push(json.dumps(document).encode())


def test_the_contracts_example() -> None:
    """Every key of contract section 3 arrives where it is expected."""
    push = parse(
        changes(
            element(
                modstamp="2026-03-01T09:59:59.000Z",
                changed=["Email"],
                by="005xx000001SvogAAC",
                fields={"Id": CONTACT, "Email": "a@b.co", "Phone": None},
            ),
            {"object": "Lead", "op": "delete", "id": "00QC000000YwSzu", "master": "00QC000000YwSzuMAF"},
            {"object": "Task", "op": "create", "id": "00TC000000YwSzuMAF"},
            pkg="1.0.0",
            attempt=1,
            sent="2026-03-01T10:00:00.123Z",
            read_at="2026-03-01T10:00:00.050Z",
        )
    )
    assert isinstance(push, Changes)
    first, second, third = push.changes
    assert first.fields == {"Id": CONTACT, "Email": "a@b.co", "Phone": None}
    assert (second.op, second.id, second.master) == ("delete", "00QC000000YwSzuMAF", "00QC000000YwSzuMAF")
    assert (third.fields, third.modstamp) == (None, None)
    assert observed_at(push, 1_772_359_201_000) == 1_772_359_200_050


def test_ids_are_made_whole_everywhere() -> None:
    """15- and 18-character ids are the same record, and the same org."""
    push = parse(changes(element(id=CONTACT[:15], master=CONTACT[:15]), org=ORG[:15]))
    assert (push.org, push.changes[0].id, push.changes[0].master) == (ORG, CONTACT, CONTACT)


def test_heartbeat_and_test() -> None:
    """The other two kinds."""
    beat = parse(
        {"v": 1, "kind": "heartbeat", "org": ORG, "settings": {"disabled": True}, "async": {"used": 1}}
    )
    assert isinstance(beat, Heartbeat)
    assert (beat.settings, beat.async_) == ({"disabled": True}, {"used": 1})
    assert isinstance(
        parse({"v": 1, "kind": "test", "org": ORG, "sent": "2026-03-01T10:00:00Z"}), payload.Test
    )


def test_keys_nobody_knows_yet_are_no_mistake() -> None:
    """A newer package may say more."""
    assert parse(changes(element(colour="red"), weather="fine")).changes[0].id == CONTACT


def test_what_is_kept_in_the_inbox_reads_the_same() -> None:
    """Encoding and parsing again changes nothing."""
    push = parse(
        changes(element(fields={"Name": "ü\n\u2028", "Amount": 1.5}), read_at="2026-03-01T10:00:00Z")
    )
    assert read_push(encode_push(push)) == push == parse_push(encode_push(push))


def test_when_it_was_read_falls_back() -> None:
    """`read_at`, else `sent`, else when it came; also if they lie further ahead than clocks differ."""
    sent = parse(changes(sent="2026-03-01T10:00:00.123Z"))
    assert observed_at(sent, 1_772_359_200_000) == 1_772_359_200_123
    assert observed_at(sent, 1_772_359_000_000) == 1_772_359_000_000
    assert observed_at(parse(changes()), 7) == 7


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "not json": b"hello",
    "half": b'{"v":1,"kind":"test"',
    "list": b"[]",
    "null": b"null",
    "number": b"1",
    "nan": b"NaN",
    "nan inside": b'{"v":1,"kind":"changes","org":"00Dxx0000001gPF","changes":[{"object":"A","op":"update",'
    b'"id":"003q000000KvQ1t","fields":{"X":NaN}}]}',
    "infinity inside": b'{"v":1,"kind":"test","org":"00Dxx0000001gPF","x":Infinity}',
    "huge number": json.dumps(changes(element(fields={"X": 7}))).replace("7}", "1e999}").encode(),
    "not utf-8": b'{"v":1,"kind":"test","org":"\xff\xfe"}',
    "lone surrogate": b'{"v":1,"kind":"test","org":"\\ud800"}',
    "lone surrogate in a field": json.dumps(changes(element(fields={"X": "@"})))
    .replace("@", "\\ud83d")
    .encode(),
    "deep list": b"[" * 1_000_000,
    "deep object": b'{"a":' * 1_000_000,
    "deep whole field": json.dumps(changes(element(fields={"X": 7})))
    .replace("7}", "[" * 100_000 + "]" * 100_000 + "}")
    .encode(),
    "trailing": json.dumps(changes()).encode() + b"x",
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(changes()).encode(),
}
WRONG: dict[str, Any] = {
    "no version": {"kind": "test", "org": ORG},
    "other version": {"v": 2, "kind": "test", "org": ORG},
    "version as text": {"v": "1", "kind": "test", "org": ORG},
    "no kind": {"v": 1, "org": ORG},
    "unknown kind": {"v": 1, "kind": "party", "org": ORG},
    "no org": {"v": 1, "kind": "test"},
    "org is no id": {"v": 1, "kind": "test", "org": "acme"},
    "org is null": {"v": 1, "kind": "test", "org": None},
    "sent is no moment": {"v": 1, "kind": "test", "org": ORG, "sent": "now"},
    "sent without a zone": {"v": 1, "kind": "test", "org": ORG, "sent": "2026-03-01T10:00:00"},
    "sent before time": {"v": 1, "kind": "test", "org": ORG, "sent": "0001-01-01T00:00:00+14:00"},
    "no changes": {"v": 1, "kind": "changes", "org": ORG},
    "changes is an object": changes() | {"changes": {}},
    "a change is text": changes() | {"changes": ["x"]},
    "no object": changes({"op": "update", "id": CONTACT}),
    "no id": changes({"op": "update", "object": "Contact"}),
    "id is no id": changes(element(id="12")),
    "id is a number": changes(element(id=12)),
    "master is no id": changes(element(master="x")),
    "unknown op": changes(element(op="upsert")),
    "modstamp is no moment": changes(element(modstamp="yesterday")),
    "modstamp before time": changes(element(modstamp="0001-01-01T00:00:00+14:00")),
    "read_at is no moment": changes(read_at="noon"),
    "fields is a list": changes(element(fields=[])),
    "changed is text": changes(element(changed="Email")),
    "attempt is text": changes(attempt="1"),
    "settings is text": {"v": 1, "kind": "heartbeat", "org": ORG, "settings": "x"},
}


@pytest.mark.parametrize("body", [*MALFORMED.values()], ids=[*MALFORMED])
def test_bytes_that_are_no_push(body: bytes) -> None:
    """Whatever comes, MalformedPush and nothing else."""
    with pytest.raises(MalformedPush):
        parse_push(body)


@pytest.mark.parametrize("document", [*WRONG.values()], ids=[*WRONG])
def test_documents_that_are_no_push(document: Any) -> None:
    """Wrong types and values are refused, with a message that is short enough to show."""
    with pytest.raises(MalformedPush) as caught:
        parse(document)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("depth", [40, 200, 500, 700, 850, 900, 930, 960, 990])
def test_depth_is_refused_before_it_can_hurt(depth: int) -> None:
    """What is parsed at the door is encoded and parsed again: all three succeed, or none is tried."""
    deep = '{"a":' * depth + "1" + "}" * depth
    body = json.dumps(changes(element(fields={"X": 7}))).replace("7}", deep + "}").encode()
    with pytest.raises(MalformedPush):
        parse_push(body)


@pytest.mark.parametrize("place", ['"op": "update"', '"v": 1', '"X": 7'])
def test_a_key_that_comes_twice_is_malformed(place: str) -> None:
    """Readers differ in which of the values they take, so no value is taken."""
    text = json.dumps(changes(element(fields={"X": 7})))
    assert place in text
    with pytest.raises(MalformedPush, match="duplicate key"):
        parse_push(text.replace(place, f"{place}, {place}").encode())


@pytest.mark.parametrize("colon", [":", " :", "\t:", "\n :", ": ", " : "])
@pytest.mark.parametrize("other", ['"Y":1', '"Y" : 1', '"Y":"a \\":b"', '"Y":{"Z" :2}'])
def test_a_key_twice_is_seen_however_it_is_spaced(colon: str, other: str) -> None:
    """White space before colons, and text that looks like a key, hide nothing and accuse nobody."""
    text = json.dumps(changes(element(fields={"X": 7})), separators=(",", ":"))
    once = text.replace('"X":7', f'"X"{colon}7,{other}')
    assert parse_push(once.encode())
    with pytest.raises(MalformedPush, match="duplicate key"):
        parse_push(text.replace('"X":7', f'"X":7,{other},"X"{colon}8').encode())


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(body: bytes) -> None:
    """Noise is malformed."""
    with pytest.raises(MalformedPush):
        parse_push(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("v", "kind", "org", "changes", "sent", "read_at", "attempt", "settings", "async", "triggers", "pkg")


@given(st.dictionaries(st.sampled_from(KEYS), JSON), st.sampled_from(["changes", "heartbeat", "test"]))
def test_no_document_breaks_the_parser(odd: dict[str, Any], kind: str) -> None:
    """Well-formed JSON of any content is a push or malformed, and a push can be kept and read again."""
    try:
        push = parse({"v": 1, "kind": kind, "org": ORG, "changes": [element()], **odd})
    except MalformedPush:
        return
    assert read_push(encode_push(push)) == push == parse_push(encode_push(push))
