"""F. Formula, schema and visibility; objects without a stamp belong here too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rtsd.sync.columns import Columns
from rtsd.sync.mirrored_object import MirroredObject
from rtsd.workflows import check
from rtssim.schema.fields import audit, ident, moment, text
from rtssim.schema.model import ObjectType
from tests.support.inprocess.stand import Standing


async def test_ac_39_a_cross_object_formula_is_refreshed(stand: Standing) -> None:
    """A contact's formula over its account is right within the refresh bound, and its age is shown."""
    objects: dict[str, Any] = {"Contact": {}, "Account": {"fields": ["Id", "Name", "Tier__c"]}}
    org = await (
        await stand({"Account": 20, "Contact": 400}, objects=objects, formula_refresh="24h")
    ).loaded()
    first = (await org.state("Contact")).formulas_as_of
    assert first is not None
    org.advance(60)
    org.update("Account", org.ids("Account"), Tier__c="Gold")
    org.advance(300)
    await org.read()
    stale = org.sql(
        "SELECT COUNT(*) FROM Contact WHERE AccountId IS NOT NULL AND COALESCE(Account_Tier__c, '') <> 'Gold'"
    )
    assert stale[0][0] > 0, "no stamp of a contact has moved"
    assert (await org.state("Contact")).formulas_as_of == first
    org.advance(24 * 3_600)
    before, read = await org.calls(), await org.rows_read()
    await org.load()
    shown = await org.state("Contact")
    assert (shown.formulas_as_of or "") > first
    assert (await org.calls() - before)["bulk_jobs"] == 1
    assert await org.rows_read() - read == 400
    assert await org.equal("Contact") == 400


async def test_ac_40_fields_that_behave_like_formulas(stand: Standing) -> None:
    """A field that the user lists is refreshed like a formula."""
    org = await (await stand({"Account": 60}, objects={"Account": {"refresh": ["Rating"]}})).loaded()
    org.org.switches.untriggered_edit_moves_stamp = False
    rows = [{"Id": record_id, "Rating": "Warm"} for record_id in org.ids("Account")]
    org.org.update_untriggered(org.org.admin, "Account", rows)
    org.advance(24 * 3_600 + 60)
    await org.read()
    await org.load()
    assert await org.equal("Account") == 60


async def test_ac_41_a_new_field_is_there_after_one_describe(stand: Standing) -> None:
    """A new field with a default is a column within the describe period, and old rows are filled."""
    org = await (await stand({"Account": 500}, describe_every="1h")).loaded()
    field = {"name": "Vip__c", "type": "boolean", "default": True}
    await org.simulated.control("schema", {"op": "add_field", "object": "Account", "field": field})
    org.advance(3_601)
    await org.load()
    assert {row[0] for row in org.sql("SELECT DISTINCT Vip__c FROM Account")} == {1}
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account") == 500


async def test_ac_41_a_removed_field_keeps_its_column(stand: Standing) -> None:
    """A removed field's column stays with what it held, new rows have NULL, and the journal says it."""
    org = await (await stand({"Account": 50}, describe_every="1h")).loaded()
    had = org.sql("SELECT COUNT(Site) FROM Account")[0][0]
    await org.simulated.control("schema", {"op": "remove_field", "object": "Account", "field": "Site"})
    org.create("Account", 3)
    org.advance(3_601)
    await org.load()
    await org.read()
    assert (await org.state("Account")).state == "live"
    assert org.sql("SELECT COUNT(Site) FROM Account")[0][0] == had
    (note,) = [event for event in await org.journal("schema") if "no longer visible" in (event.message or "")]
    assert "Site" in (note.message or "")
    assert await org.equal("Account") == 53


async def test_ac_41_a_field_that_changes_its_type(stand: Standing) -> None:
    """A number that becomes a text is a TEXT column with the org's values."""
    org = await (await stand({"Account": 80}, describe_every="1h")).loaded()
    field = {"name": "NumberOfEmployees", "type": "string", "length": 40}
    await org.simulated.control("schema", {"op": "change_field_type", "object": "Account", "field": field})
    org.advance(3_601)
    await org.load()
    await org.read()
    await org.load()
    assert org.mirror.columns("Account")["numberofemployees"] == "text"
    assert await org.equal("Account") == 80


@pytest.mark.parametrize(
    ("field", "was", "new"),
    [
        ("Flag__c", {"type": "boolean", "default": True}, {"type": "int"}),
        ("Due__c", {"type": "string", "length": 40}, {"type": "date"}),
        ("Size__c", {"type": "int"}, {"type": "double", "precision": 12, "scale": 2}),
    ],
)
async def test_a_type_that_sqlite_stores_alike(
    stand: Standing, field: str, was: dict[str, Any], new: dict[str, Any]
) -> None:
    """Salesforce converts the values without new stamps; the column is read again before it is live."""
    org = await stand({"Account": 80}, describe_every="1h", fingerprint_every="1h")
    change: dict[str, Any] = {"op": "add_field", "object": "Account", "field": {"name": field, **was}}
    await org.simulated.control("schema", change)
    value = {"Flag__c": True, "Due__c": "soon", "Size__c": 7}[field]
    org.update("Account", org.ids("Account"), **{field: value})
    org.advance(60)
    await org.loaded()
    async with org.client() as client:
        assert (await client.verify()).ok
    change = {"op": "change_field_type", "object": "Account", "field": {"name": field, **new}}
    await org.simulated.control("schema", change)
    org.advance(3_601)
    await org.parts.readers.describer.step()
    shown = await org.state("Account")
    assert (shown.state, shown.error) == ("incomplete", f"columns are being filled: {field}")
    await org.load()
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account") == 80
    said = [event.message for event in await org.journal("schema")]
    assert f"other types: {field} ({was['type']} -> {new['type']})" in said
    async with org.client() as client:
        assert [verified.broken for verified in (await client.verify()).objects] == [[]]


async def test_a_field_that_comes_while_the_first_load_is_interrupted(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job was created without the field, so that its column is filled afterwards."""
    monkeypatch.setattr("rtsd.sync.audit.PAGE", 500)
    org = await (await stand({"Lead": 4_000})).start()
    loading = asyncio.create_task(org.load())
    while await org.rows_read() < 1_500:  # noqa: ASYNC110 - the org has no event
        await asyncio.sleep(0.002)
    org.cut_off += 1
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    await org.stop()
    org.org.switches.new_field_default_moves_stamp = False
    field = {"name": "Vip__c", "type": "boolean", "default": True}
    await org.simulated.control("schema", {"op": "add_field", "object": "Lead", "field": field})
    await org.start()
    await org.load()
    assert (await org.state("Lead")).state == "live"
    assert await org.equal("Lead") == 4_000


async def test_ac_42_widened_field_security_fills_old_rows(stand: Standing) -> None:
    """A field that comes into sight, again too, is filled in every row, by a narrow read."""
    org = await stand({"Account": 300}, describe_every="1h")
    await org.simulated.control("visibility", {"hidden_fields": ["Account.Rating"]})
    await org.loaded()
    assert "rating" not in org.mirror.columns("Account")
    await _see_rating(org)
    await org.simulated.control("visibility", {"hidden_fields": ["Account.Rating"]})
    await _until_described(org)
    org.update("Account", org.ids("Account")[::3], Rating="Cold")
    org.advance(60)
    await org.read()
    assert (await org.state("Account")).state == "live"
    await _see_rating(org)


async def _see_rating(org: Any) -> None:
    await org.simulated.control("visibility", {"hidden_fields": []})
    before = await org.calls()
    await _until_described(org)
    assert (await org.calls() - before)["bulk_jobs"] == 1
    assert (await org.state("Account")).state == "live"
    assert await org.equal("Account") == 300


async def _until_described(org: Any) -> None:
    """Two periods: every other describe is conditional, and who sees what is not in its condition."""
    for _ in range(2):
        org.advance(3_601)
        await org.load()


async def test_ac_43_check_lists_what_cannot_be_seen(stand: Standing) -> None:
    """`rtsd check` names objects and fields out of sight, each with the permission that would show it."""
    objects: dict[str, Any] = {
        "Lead": {"fields": ["Id", "LastName", "Rating"]},
        "Account": {},
        "Opportunity": {},
    }
    org = await stand({"Lead": 20, "Account": 20, "Opportunity": 20}, objects=objects)
    sight = {"hidden_objects": ["Opportunity"], "hidden_fields": ["Lead.Rating"], "view_all": False}
    await org.simulated.control("visibility", sight)
    org.org.database.execute("UPDATE PermissionSet SET PermissionsViewAllData = 0")  # the profile's
    report = await check.inspect(org.configuration())
    problems = {problem.what: problem.do for problem in report.problems}
    (objects_gone,) = [do for what, do in problems.items() if "Opportunity" in what]
    assert "RTS_Sync" in objects_gone
    assert "Read" in objects_gone
    (field_gone,) = [do for what, do in problems.items() if "Rating" in what]
    assert "field-level security" in field_gone
    (sharing,) = [do for what, do in problems.items() if "View All" in what]
    assert "View All" in sharing
    await org.start()
    await org.load()
    shown = await org.states()
    assert shown["Account"].state == "live", "no Modify All Data is needed"
    assert shown["Lead"].state == shown["Opportunity"].state == "error"
    assert "Rating" in (shown["Lead"].error or "")


def _wide(fields: int) -> ObjectType:
    columns = [ident(), text("Name", 80, name_field=True), *audit()]
    columns += [text(f"Field_number_{n:04d}_of_a_wide_object__c", 60) for n in range(fields)]
    return ObjectType("Wide__c", "Wide", "Wides", "a0W", {field.name: field for field in columns})


@pytest.mark.parametrize("bulk", [True, False])
async def test_ac_44_an_object_of_800_fields(stand: Standing, *, bulk: bool) -> None:
    """An object too wide for one query is read in parts joined on Id; rows that move meanwhile are whole."""
    org = await stand({}, objects={"Wide__c": {}})
    org.org.add_object(_wide(800))
    org.org.switches.most_columns = 300
    if not bulk:
        org.org.switches.bulk_refuses = frozenset({"Wide__c"})
    names = [name for name in org.org.schema["Wide__c"].fields if name.startswith("Field_")]
    rows = [
        {"Name": f"row {n}", **{name: f"{n} in {name[13:17]}" for name in names[n % 3 :: 3]}}
        for n in range(40)
    ]
    with org.org.transaction(org.org.admin):
        ids = [result.unwrap() for result in org.org.create(org.org.admin, "Wide__c", rows)]
    await org.loaded()
    assert await org.equal("Wide__c") == 40
    org.advance(60)
    org.update("Wide__c", ids[:5], **{names[0]: "first", names[-1]: "last"})
    org.advance(60)
    before = await org.calls()
    await org.read()
    assert await org.equal("Wide__c") == 40
    assert await org.cost(before) <= 12


async def test_ac_44_a_row_that_moves_between_two_parts(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row edited between two parts of a read never shows the one's values under the other's stamp."""
    org = await stand({}, objects={"Wide__c": {}})
    org.org.add_object(_wide(60))
    org.org.switches.most_columns = 30
    names = [name for name in org.org.schema["Wide__c"].fields if name.startswith("Field_")]
    with org.org.transaction(org.org.admin):
        made = org.org.create(org.org.admin, "Wide__c", [{"Name": "x", names[0]: "1", names[-1]: "1"}] * 20)
    ids = [result.unwrap() for result in made]
    org.advance(30)
    await org.start()
    filling = Columns.fill

    async def edited_meanwhile(columns: Columns, mirrored: MirroredObject) -> None:
        org.advance(5)
        org.update("Wide__c", ids[:7], **{names[0]: "2", names[-1]: "2"})
        monkeypatch.setattr(Columns, "fill", filling)
        await filling(columns, mirrored)

    monkeypatch.setattr(Columns, "fill", edited_meanwhile)
    await org.load()
    assert (await org.state("Wide__c")).state == "live"
    assert await org.equal("Wide__c") == 20


def _stampless(cursor: str) -> ObjectType:
    columns = [ident(), text("Name", 80, name_field=True), text("Value__c", 80)]
    if cursor:
        columns.append(moment(cursor, createable=False, updateable=False))
    return ObjectType("Plain__c", "Plain", "Plains", "a0P", {field.name: field for field in columns})


async def test_objects_without_any_stamp_are_read_again(stand: Standing) -> None:
    """Nothing shows their changes, so they are read whole every `formula_refresh`; `as_of` says how old."""
    org = await stand({}, objects={"Plain__c": {}}, formula_refresh="6h", fingerprint_every="1h")
    org.org.add_object(_stampless(""))
    ids = org.create("Plain__c", 50, Name="a")
    await org.loaded()
    first = (await org.state("Plain__c")).as_of
    org.update("Plain__c", ids[:9], Value__c="changed")
    org.org.hard_delete(org.org.admin, "Plain__c", [ids[20]])[0].unwrap()
    org.create("Plain__c", 2, Name="b")
    org.advance(3 * 3_600)
    await org.read()
    await org.load()
    await org.parts.runner.step(org.parts.services.checks)
    assert (await org.state("Plain__c")).as_of == first, "not fresher than proven"
    org.advance(3 * 3_600)
    await org.load()
    assert (await org.state("Plain__c")).state == "live"
    assert ((await org.state("Plain__c")).as_of or "") > (first or "")
    assert await org.equal("Plain__c") == 51


async def test_objects_without_any_stamp_are_read_again_after_a_pause(stand: Standing) -> None:
    """Their pushes were not applied meanwhile, and no window shows what those said; also after a restart."""
    org = await stand({}, objects={"Plain__c": {}}, formula_refresh="6h")
    org.org.add_object(_stampless(""))
    ids = org.create("Plain__c", 50, Name="a")
    await org.loaded()
    async with org.client() as client:
        await client.pause(["Plain__c"])
        org.update("Plain__c", ids[:9], Value__c="changed while paused")
        org.advance(60)
        await client.resume(["Plain__c"])
    assert (await org.state("Plain__c")).state == "pending"
    await org.stop()
    await org.start()
    await org.load()
    assert (await org.state("Plain__c")).state == "live"
    assert await org.equal("Plain__c") == 50


async def test_objects_that_bulk_refuses_are_read_by_rest(stand: Standing) -> None:
    """They are read over REST by Id, and a kill costs one page at most."""
    org = await stand({"Lead": 5_000})
    org.org.switches.bulk_refuses = frozenset({"Lead"})
    await org.start()
    loading = asyncio.create_task(org.load())
    while await org.rows_read() < 3_000:  # noqa: ASYNC110 - the org has no event
        await asyncio.sleep(0.002)
    org.cut_off += 1
    loading.cancel()
    await asyncio.gather(loading, return_exceptions=True)
    await org.stop()
    await org.start()
    await org.load()
    assert await org.equal("Lead") == 5_000
    assert (await org.calls())["bulk_jobs"] == 0
    assert await org.rows_read() <= 5_000 + 2_000 + 10


async def test_a_full_read_that_was_resumed_finds_orphans_too(
    stand: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a full read has seen outlives a restart, so that its end can tell what it has not seen."""
    monkeypatch.setattr("rtsd.sync.audit.PAGE", 500)
    org = await (await stand({"Lead": 4_000})).loaded()
    org.advance(3_600)
    gone = org.ids("Lead")[100:103]
    with org.org.transaction(org.org.admin):
        for result in org.org.hard_delete(org.org.admin, "Lead", gone):
            result.unwrap()
    org.org.purge_delete_log(org.org.clock.now())
    read = await org.rows_read()
    reading = asyncio.create_task(org.parts.readers.audit.run(org.parts.base.catalog["Lead"]))
    while await org.rows_read() < read + 1_000:  # noqa: ASYNC110 - the org has no event
        await asyncio.sleep(0.002)
    org.cut_off += 1
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await org.stop()
    await org.start()
    await org.audit("Lead", full=True)
    assert await org.equal("Lead") == 3_997
    assert await org.rows_read() - read < 4_000 + 2_000
