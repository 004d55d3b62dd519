"""Generated data: repeatable by seed, as varied as a CRM, and cheap to generate."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from rtssim import ids
from rtssim.org import Clock, Org
from tests.support.rtssim.rows import NOW, SMALL, ids_of, records


def test_counts_and_determinism(crm: Org) -> None:
    """An org has the rows asked for, and the same seed and time make the same rows."""
    again = Org(records=SMALL, clock=Clock(NOW, speed=0))
    other = Org(records=SMALL, clock=Clock(NOW, speed=0), seed=2)
    try:
        for name, count in SMALL.items():
            assert crm.count(name) == count
            rows = list(crm.snapshot(name))
            assert rows == list(again.snapshot(name)) != list(other.snapshot(name))
    finally:
        again.close()
        other.close()


@pytest.mark.parametrize("obj", sorted(SMALL))
def test_rows_obey_their_schema(crm: Org, obj: str) -> None:
    """Ids are valid, references lead to rows, required fields are filled, texts fit."""
    entity = crm.schema[obj]
    known = {name: set(ids_of(crm, f"SELECT Id FROM {name}")) for name in (*SMALL, "User")}
    for row in crm.snapshot(obj):
        assert ids.to_18(row["Id"]) == row["Id"]
        for name, value in row.items():
            field = entity.fields[name]
            if value is None:
                assert field.nillable or not field.stored, name
            elif field.type == "reference":
                assert any(value in known[target] for target in field.reference_to if target in known), name
            elif field.length:
                assert len(value) <= field.length, name
            if value is not None and field.picklist and field.type == "picklist":
                assert value in field.picklist, name


def test_variety(crm: Org) -> None:
    """Many scripts, awkward characters, long texts, nulls in every nillable field, shared seconds."""
    rows = list(crm.snapshot("Contact"))
    text = "".join(str(value) for row in rows for value in row.values() if isinstance(value, str))
    scripts = {unicodedata.name(char, "").split(" ")[0] for char in set(text)}
    wanted = "LATIN CYRILLIC GREEK ARABIC HEBREW CJK HIRAGANA HANGUL THAI DEVANAGARI"
    assert set(wanted.split()) <= scripts
    for piece in ("\r\n", '"', ",", "\n", "\U0001f469"):
        assert piece in text
    assert "\r" in text.replace("\r\n", "")
    assert {len(row["Notes__c"] or "") for row in rows} >= {0, 32768}
    for field in crm.schema["Contact"].fields.values():
        if field.nillable and field.stored:
            assert any(row[field.name] is None for row in rows), field.name
        if field.createable and field.stored and field.type != "reference":
            assert any(row[field.name] is not None for row in rows), field.name
    stamps = Counter(row["SystemModstamp"] for row in rows)
    assert max(stamps.values()) > 1
    assert max(stamps) <= "2026-03-01T10:00:00"
    assert int(max(stamps)[:4]) - int(min(stamps)[:4]) >= 3


def test_stamps_fit_two_thousand_groups(crm: Org) -> None:
    """The years of stamps are few enough days for one GROUP BY DAY_ONLY."""
    soql = "SELECT DAY_ONLY(SystemModstamp) d, COUNT(Id) n FROM Contact GROUP BY DAY_ONLY(SystemModstamp)"
    assert sum(row["n"] for row in records(crm, soql)) == SMALL["Contact"]


def test_new_rows_follow(org: Org) -> None:
    """Rows made later do not collide with generated ones."""
    made = Org(records={"Campaign": 10}, clock=Clock(NOW, speed=0))
    try:
        made.create(made.sync_user, "Campaign", [{"Name": f"c{n}"} for n in range(50)])
        assert len(set(ids_of(made, "SELECT Id FROM Campaign"))) == 60
    finally:
        made.close()


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """The store may be a named file, but never one that is there; a temporary one is removed."""
    path = tmp_path / "org.db"
    made = Org(records={"Account": 1}, path=str(path))
    made.close()
    assert path.exists()
    with pytest.raises(ValueError, match="starts empty"):
        Org(records={}, path=str(path))
    temporary = Org(records={})
    temporary.close()
    assert not temporary.database.path.exists()
