"""`GET /v1/schema` and `GET /v1/find`: what is mirrored, and who or what has a text in it."""

from __future__ import annotations

import pytest

from rtsd.control.assistants import without_texts
from rtsd.errors import Conflict, UsageError
from tests.support.inprocess.stand import Stand, Standing


@pytest.fixture
async def org(stand: Standing) -> Stand:
    """Contacts and Leads, of which two are called Ada."""
    made = await stand({"Contact": 30, "Lead": 5})
    made.update("Contact", made.ids("Contact")[:1], LastName="O'Lovelace 100%", Email="Ada@Example.com")
    made.update("Lead", made.ids("Lead")[:1], LastName="Lovelace", Email=None)
    return await made.loaded()


async def found(org: Stand, text: str) -> list[tuple[str, str, str]]:
    """Object, id and field of each record that is found."""
    async with org.client() as client:
        return [(each.object, each.id, each.field) for each in (await client.find(text)).records]


async def test_a_person_is_found_by_name_address_and_id(org: Stand) -> None:
    """In any case, in every object; special characters mean themselves; no call is made."""
    contact, lead = org.ids("Contact")[0], org.ids("Lead")[0]
    before = await org.calls()
    both = await found(org, "LOVELACE")
    assert {(name, record) for name, record, _ in both} == {("Contact", contact), ("Lead", lead)}
    assert await found(org, " ada@example.COM ") == [("Contact", contact, "Email")]
    assert [record for _, record, _ in await found(org, "o'lovelace 100%")] == [contact]
    assert await found(org, contact[:15]) == await found(org, contact) == [("Contact", contact, "Id")]
    assert await org.calls() == before


async def test_what_is_found_has_a_name_and_a_state(org: Stand) -> None:
    """Whatever field has the text; a deleted record is found by its id, and says that it is deleted."""
    contact = org.ids("Contact")[0]
    async with org.client() as client:
        (ada,) = (await client.find("ada@example.com")).records
        (same,) = (await client.find(contact)).records
        assert (ada.field, ada.state) == ("Email", "live")
        assert ada.name is not None
        assert ada.name.endswith("O'Lovelace 100%")
        assert (same.name, same.state) == (ada.name, "live")
        org.org.delete(org.org.admin, "Contact", [contact])[0].unwrap()
        await org.audit("Contact")
        (gone,) = (await client.find(contact)).records
        assert (gone.id, gone.state) == (contact, "deleted")


async def test_a_name_with_other_letters_is_found(org: Stand) -> None:
    """As it is written."""
    org.update("Contact", org.ids("Contact")[1:2], LastName="Ångström")
    org.advance(60)
    await org.parts.readers.windows.step(org.parts.base.catalog["Contact"])
    assert [record for _, record, _ in await found(org, "Ångstr")] == org.ids("Contact")[1:2]


@pytest.mark.parametrize("text", ["lovelac_", "l%e", "' OR 1=1 --", "\\' OR 1=1 --", "abcdefghijklmno"])
async def test_special_characters_find_nothing_else(org: Stand, text: str) -> None:
    """No pattern, no SQL, no id of a record that is not there."""
    assert await found(org, text) == []


async def test_a_short_text_is_refused(org: Stand) -> None:
    """It would be in nearly every record."""
    with pytest.raises(UsageError, match="at least 3 characters"):
        await found(org, " ab ")


async def test_more_than_are_shown_is_told(org: Stand) -> None:
    """The first 20, and that there are others."""
    org.update("Contact", org.ids("Contact"), LastName="Everyone")
    org.advance(60)
    await org.parts.readers.windows.step(org.parts.base.catalog["Contact"])
    async with org.client() as client:
        answer = await client.find("everyone")
    assert (len(answer.records), answer.truncated) == (20, True)


async def test_the_schema_names_tables_and_fields(org: Stand) -> None:
    """As SQL needs them."""
    async with org.client() as client:
        contact, _ = await client.schema()
        assert contact.object == "Contact"
        assert {"Id": "id", "Email": "email"}.items() <= {f.name: f.type for f in contact.fields}.items()
        assert (await client.query(f"SELECT COUNT(*) FROM {contact.table}")).rows == [[30]]


def test_texts_of_a_query_are_left_out() -> None:
    """In every way of quoting."""
    assert (
        without_texts("SELECT 'a''b', $x$c'd$x$, e FROM f WHERE g = 'h'")
        == "SELECT '…', '…', e FROM f WHERE g = '…'"
    )


async def test_a_read_is_priced_without_the_org(stand: Standing) -> None:
    """By what the mirror has; an object that no describe has reached cannot be priced."""
    org = await (await stand({"Lead": 5})).start()
    async with org.client() as client:
        with pytest.raises(Conflict, match="has not been described"):
            await client.price_audit("Lead", full=True, ask_org=False)
        await org.load()
        before = await org.calls()
        price = (await client.price_audit("Lead", full=True, ask_org=False)).estimate
        assert price is not None
        assert price.rows == 5
        assert await org.calls() == before
