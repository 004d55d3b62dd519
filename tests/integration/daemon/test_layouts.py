"""Views in the layouts of other products, as the daemon makes them beside a simulated org."""

from __future__ import annotations

import pytest

from rtsd.core.object_state import ObjectState
from rtsd.errors import ForeignDatabase
from tests.support.inprocess.rig import Rig, Start
from tests.support.mirror import ENGINE


def configured(rig: Rig, name: str = "Account") -> str:
    """Configure the layout of Heroku Connect; return the name of an object's view."""
    rig.more = f'[store.views]\nheroku_connect = "{rig.mirror.views}"\n'
    return rig.mirror.view(name)


async def test_views_follow_the_org(start: Start) -> None:
    """A load, a field that comes, and one that goes: with the values of the mirror, and their places kept."""
    rig = await start({"Account": 6}, run=False)
    view = configured(rig)
    async with rig.running():
        await rig.load()
        assert await rig.rows(f"SELECT COUNT(*), COUNT(DISTINCT id), COUNT(sfid) FROM {view}") == [(6, 6, 6)]
        field = {"name": "Vip__c", "type": "boolean", "default": True}
        await rig.sim.control("schema", {"op": "add_field", "object": "Account", "field": field})
        await rig.sim.control("schema", {"op": "remove_field", "object": "Account", "field": "Site"})
        rig.advance(3_601)
        await rig.load()
        shown = f"SELECT COUNT(*) FROM {view} WHERE vip__c AND _hc_lastop='SYNCED'"
        assert await rig.rows(shown) == [(6,)]
        names = list(rig.mirror.columns(view))
        assert names[:2] == ["id", "sfid"]
        assert "site" in names
        assert names[-1] == "vip__c"


async def test_a_layout_that_is_configured_later(start: Start) -> None:
    """The next start shows what is loaded, without a read of the org."""
    rig = await start({"Account": 6}, run=False)
    async with rig.running():
        await rig.load()
    view = configured(rig)
    before = await rig.calls()
    async with rig.running():
        assert await rig.rows(f"SELECT COUNT(*), COUNT(DISTINCT id) FROM {view}") == [(6, 6)]
    assert (await rig.calls()).get("bulk_jobs") == before.get("bulk_jobs")


async def test_what_is_in_the_way_is_told_by_name(start: Start) -> None:
    """While rtsd runs, the object says why it has no views; a start ends."""
    rig = await start({"Account": 1}, run=False)
    view = configured(rig)
    async with rig.running() as parts:
        async with parts.base.database.transaction() as tx:
            for statement in rig.mirror.occupied("Account"):
                await tx.execute(statement)
        await rig.load()
        account = rig["Account"]
        assert account.state is ObjectState.ERROR
        assert f"{view} is a table that rtsd did not make" in (account.stored.error or "")
    with pytest.raises(ForeignDatabase, match="rtsd did not make"):
        async with rig.running():
            pass


async def test_a_stricter_rule_of_privacy_holds_in_the_views(start: Start) -> None:
    """What is left out of the mirror is left out of them, and PostgreSQL's integers stay."""
    rig = await start({"Contact": 6}, run=False)
    view = configured(rig, "Contact")
    async with rig.running():
        await rig.load()
        before = await rig.rows(f"SELECT id, sfid, lastname FROM {view} ORDER BY sfid")
        assert (await rig.rows(f"SELECT COUNT(lastname) FROM {view}")) == [(6,)]
    rig.more += '[[objects]]\nname = "Contact"\nfields = ["Id", "Email"]\n'
    rig.objects = ()
    async with rig.running():
        after = await rig.rows(f"SELECT id, sfid, lastname FROM {view} ORDER BY sfid")
    assert [row[1:] for row in after] == [(row[1], None) for row in before]
    if ENGINE == "postgres":
        assert [row[0] for row in after] == [row[0] for row in before]
