"""Golden pushes: what the package signs and says is what the gateway takes, byte for byte."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rtsd.apex import VERSION, metadata
from rtsd.core import payload
from rtsd.core.signature import SignatureHeaders, sign, verify
from rtsd.errors import BadSignature

GOLDEN = Path(__file__).parents[2] / "golden"
KINDS = {"changes": payload.Changes, "heartbeat": payload.Heartbeat, "test": payload.Test}
CONSTANTS = {"changes": "CHANGES", "heartbeat": "HEARTBEAT", "test": "PING"}


@pytest.fixture(params=KINDS)
def name(request: pytest.FixtureRequest) -> str:
    """Each golden push in turn."""
    return str(request.param)


def golden(name: str) -> dict[str, Any]:
    """A golden push: token, headers, body."""
    return dict(json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8")))


def apex_strings() -> dict[str, str]:
    """The string constants of RTS_Golden, as Apex reads them."""
    source = metadata([], "https://a.example", "62.0")["classes/RTS_Golden.cls"].decode()
    literal = r"'(?:[^'\\]|\\.)*'"
    found = {}
    for constant, value in re.findall(rf"String (\w+) =\s*({literal}(?:\s*\+\s*{literal})*);", source):
        joined = "".join(part[1:-1] for part in re.findall(literal, value))
        found[constant] = json.loads('"' + joined.replace("\\'", "'").replace('"', '\\"') + '"')
    signatures = re.findall(r"(\w+) => '([^']+)'", source)
    return {**found, **{f"SIGNATURE_{constant}": signature for constant, signature in signatures}}


def test_apex_holds_the_same(name: str) -> None:
    """The constants of the Apex tests are the golden files."""
    wanted, apex = golden(name), apex_strings()
    assert apex[CONSTANTS[name]] == wanted["body"]
    assert apex["TOKEN"] == wanted["token"]
    assert apex["UID"] == wanted["headers"]["webhook-id"]
    assert apex["STAMP"] == wanted["headers"]["webhook-timestamp"]
    assert apex[f"SIGNATURE_{CONSTANTS[name]}"] == wanted["headers"]["webhook-signature"]


def test_gateway_takes_it(name: str) -> None:
    """Signature and document are accepted, by the same code that the gateway runs, and by no other key."""
    push = golden(name)
    headers, body, key = push["headers"], push["body"].encode(), push["token"].encode()
    stamp = int(headers["webhook-timestamp"])
    assert sign(key, headers["webhook-id"], stamp, body) == headers["webhook-signature"]
    carried = SignatureHeaders(
        headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"]
    )
    verify([b"another", key], carried, body, stamp * 1000)
    with pytest.raises(BadSignature):
        verify([key + b"\n"], carried, body, stamp * 1000)
    document = payload.parse_push(body)
    assert type(document) is KINDS[name]
    assert document.pkg == VERSION


def test_every_change_is_understood() -> None:
    """An update with fields, a merge's loser, an undelete, and a change without fields."""
    push = payload.parse_push(golden("changes")["body"].encode())
    assert isinstance(push, payload.Changes)
    update, merged, undelete, create = push.changes
    assert (update.op, update.changed) == ("update", ["Email", "LastName"])
    assert update.fields is not None
    assert update.fields["LastName"] == 'Müller "the\nlatter" \U0001f600'
    assert update.fields["Phone"] is None
    assert (merged.op, merged.master, merged.fields) == ("delete", "00Qxx000001abceEAA", None)
    assert undelete.op == "undelete"
    assert (create.fields, create.modstamp) == (None, None)
