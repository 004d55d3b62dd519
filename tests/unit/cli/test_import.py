"""`rtsd import heroku-connect`: a mapping export as a configuration."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rtsd import config
from tests.support.cli import Rtsd

EXPORT = Path(__file__).parents[2] / "golden" / "heroku_connect_export.json"
BASE = """
[org]
login_url = "https://acme.my.salesforce.com"
client_id = "x"
client_secret = "y"
[gateway]
listen = ""
"""


def changed(tmp_path: Path, change: Any) -> str:
    """The path of an export with a change, or of other text."""
    path = tmp_path / "export.json"
    if isinstance(change, bytes):
        path.write_bytes(change)
    else:
        document = json.loads(EXPORT.read_text())
        change(document)
        path.write_text(json.dumps(document))
    return str(path)


def test_the_configuration_takes_what_it_writes(rtsd: Rtsd, tmp_path: Path) -> None:
    """Objects and their fields, without those of other objects."""
    status, out, err = rtsd("import", "heroku-connect", str(EXPORT))
    assert (status, err) == (0, "")
    path = tmp_path / "rtsd.toml"
    path.write_text(BASE + out)
    path.chmod(0o600)
    contact, invoice = config.load(path).objects
    assert contact.name == "Contact"
    assert contact.fields == (
        *("Id", "AccountId", "acme__Score__c", "CreatedDate", "Email", "External_ID__c", "IsDeleted"),
        "SystemModstamp",
    )
    assert (invoice.name, invoice.fields) == (
        "Invoice__c",
        ("Id", "IsDeleted", "Name", "SystemModstamp", "Total__c"),
    )


def test_what_has_no_counterpart_is_told(rtsd: Rtsd) -> None:
    """As comments above the object, in a word each, and as notes for scripts."""
    out = rtsd("import", "heroku-connect", str(EXPORT)).out
    document = json.loads(rtsd("import", "heroku-connect", str(EXPORT), "--json").out)
    contact, invoice = document["objects"]
    assert invoice == {"name": "Invoice__c", "fields": invoice["fields"], "notes": []}
    told = " ".join((*contact["notes"], *document["notes"]))
    for word in (
        *("read_write", "External_ID__c", "Parent__r__Number__c, Account__Number__c", "Email"),
        *("120 s, 600 s", "30000"),
        *("[push] channel", "[store.views]"),
    ):
        assert word in told
    assert [f"# {note}" for note in document["notes"]] == out.splitlines()[: len(document["notes"])]
    assert all(f"# {note}\n" in out for note in contact["notes"])


def test_no_text_of_the_file_leaves_its_comment(rtsd: Rtsd, tmp_path: Path) -> None:
    """Whoever wrote the export can't add keys to the configuration, nor steer the terminal."""

    def hostile(document: Any) -> None:
        evil = 'x\n[org]\nlogin_url = "http://evil"\x1b[2J\u2028'
        document["mappings"][0]["config"] |= {"access": evil, "upsert_field": evil, "indexes": {evil: {}}}

    status, out, _ = rtsd("import", "heroku-connect", changed(tmp_path, hostile))
    assert status == 0
    assert set(tomllib.loads(out)) == {"objects"}
    assert "\x1b" not in out


def test_one_that_is_too_deep(rtsd: Rtsd, tmp_path: Path) -> None:
    """Nested a million times, in what is read and in what is not."""
    deep = b"[" * 1_000_000
    for text in (deep, b'{"mappings": ' + deep, b'{"other": ' + deep):
        status, out, err = rtsd("import", "heroku-connect", changed(tmp_path, text))
        assert (status, out) == (2, "")
        assert len(err.splitlines()) == 2


def nothing_mapped(document: Any) -> None:
    """No mappings."""
    document["mappings"] = []


def without_fields(document: Any) -> None:
    """A mapping that was cut."""
    del document["mappings"][1]["config"]["fields"]


def twice(document: Any) -> None:
    """The same object."""
    document["mappings"][1]["object_name"] = "contact"


def no_name(document: Any) -> None:
    """What would be no object."""
    document["mappings"][1]["object_name"] = 'Lead"]\n[org]'


def no_field(document: Any) -> None:
    """What would be no field."""
    document["mappings"][1]["config"]["fields"] = {"Na me": {}}


def newer(document: Any) -> None:
    """Another version of the format."""
    document["version"] = 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (b"", "is no mapping export"),
        (b"\xff\xfe", "is no mapping export"),
        (b'{"mappings": [', "is no mapping export"),
        (b"[]", "is no mapping export"),
        (b'{"objects": []}', "`mappings`"),
        (nothing_mapped, "has no mappings"),
        (without_fields, "`fields`"),
        (twice, "more than once"),
        (no_name, "is not an API name"),
        (no_field, "is not an API name"),
        (newer, "version 2"),
    ],
)
def test_what_is_no_export_is_one_clear_error(rtsd: Rtsd, tmp_path: Path, change: Any, says: str) -> None:
    """What is wrong with it and what to do, in two lines; nothing on stdout."""
    status, out, err = rtsd("import", "heroku-connect", changed(tmp_path, change))
    assert (status, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 2


def test_one_that_is_too_large(rtsd: Rtsd, tmp_path: Path) -> None:
    """It is not read to its end."""
    status, out, err = rtsd("import", "heroku-connect", changed(tmp_path, b" " * ((16 << 20) + 1)))
    assert (status, out) == (2, "")
    assert "more than 16 MiB" in err


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read(rtsd: Rtsd, tmp_path: Path, name: str) -> None:
    """A usage error, without a traceback."""
    status, out, err = rtsd("import", "heroku-connect", str(tmp_path / name))
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 2
