"""An administrator's changes while others read: schema, mass edits, the org's id, late commits."""

from __future__ import annotations

import asyncio

import pytest

from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Gateway


async def test_new_field_shows_in_describe(org: SimulatedOrg, api: Api) -> None:
    """An added field is in describe, which a conditional request then sees as changed, and can be written."""
    path = "/sobjects/Contact/describe"
    _, headers, _ = await api.call("GET", path)
    await org.control("clock", {"advance": 5})
    field = {"name": "Fitness__c", "type": "double", "precision": 5, "scale": 1}
    await org.control("schema", {"op": "add_field", "object": "Contact", "field": field})
    since = {"If-Modified-Since": headers["Last-Modified"]}
    status, _, described = await api.call("GET", path, headers=since)
    assert status == 200
    assert "Fitness__c" in [entry["name"] for entry in described["fields"]]
    (record_id,) = await org.dml("create", "Contact", rows=[{"LastName": "x", "Fitness__c": 2.5}])
    assert (await api.get(f"/sobjects/Contact/{record_id}?fields=Fitness__c"))["Fitness__c"] == 2.5
    await org.control("schema", {"op": "remove_field", "object": "Contact", "field": "Fitness__c"})
    status, _, body = await api.call("GET", "/query?q=SELECT+Fitness__c+FROM+Contact")
    assert (status, body[0]["errorCode"]) == (400, "INVALID_FIELD")


async def test_wide_object(org: SimulatedOrg, api: Api) -> None:
    """An object with hundreds of fields can be added and read."""
    fields = [{"name": f"F{n}__c", "type": "string", "length": 20} for n in range(500)]
    await org.control("schema", {"op": "add_object", "object": "Wide__c", "fields": fields})
    await org.dml("create", "Wide__c", rows=[{"Name": "w", "F499__c": "last"}])
    assert (await api.query("SELECT F499__c FROM Wide__c"))["records"][0]["F499__c"] == "last"


async def test_mass_edit_pushes_nothing(pushing: SimulatedOrg, gateway: Gateway) -> None:
    """A picklist rename changes rows and fires no push."""
    (lead,) = await pushing.dml("create", "Lead", rows=[{"LastName": "x", "Company": "y", "Rating": "Hot"}])
    await gateway.wait(1)
    await pushing.control(
        "untriggered", {"edit": "rename_picklist_value", "arguments": ["Lead", "Rating", "Hot", "Burning"]}
    )
    await pushing.control("package/drain")
    ratings = {row["Id"]: row["Rating"] async for row in pushing.rows("Lead")}
    assert ratings[lead] == "Burning"
    assert len(gateway.pushes) == 1


async def test_sandbox_copy_pushes_with_its_own_id(pushing: SimulatedOrg, gateway: Gateway, api: Api) -> None:
    """An org whose id was swapped keeps its settings and signs pushes with the new id."""
    await pushing.control("org", {"org_id": "00D000000000009"})
    await pushing.dml("create", "Account", rows=[{"Name": "copy"}])
    (push,) = await gateway.wait(1)
    assert push["org"][:15] == "00D000000000009"
    assert (await api.query("SELECT Id FROM Organization"))["records"][0]["Id"] == push["org"]


async def test_latest_date_covered_is_held(org: SimulatedOrg, api: Api) -> None:
    """A long transaction on the instance holds latestDateCovered back at its start."""
    await org.control("hold", {"seconds": 3_600})
    held = (await org.control("clock", {"advance": 1_800}))["now"]
    window = {"start": held[:11] + "00:00:00+00:00", "end": held[:19] + "+00:00"}
    covered = (await api.get("/sobjects/Lead/updated", params=window))["latestDateCovered"]
    assert covered[:19] < held[:19]


async def test_activity_with_late_commits(org: SimulatedOrg) -> None:
    """Simulated users make commits of every kind, some late; only conflicting ones are refused."""
    await org.fault("late_commit", probability=0.2, seed=1, seconds=0.2)
    await org.control("activity", {"rate": 500, "seed": 4})
    async with asyncio.timeout(20):
        while sum((await org.stats())["activity"].values()) < 300:
            pass
    done = (await org.control("activity", method="DELETE"))["done"]
    assert done["update"] > done["create"] > done["delete"] > 0
    assert {name for name in done if name.startswith("refused")} <= {
        "refused UNABLE_TO_LOCK_ROW",
        "refused ENTITY_IS_DELETED",
        "refused INVALID_CROSS_REFERENCE_KEY",
        "refused UNDELETE_FAILED",
    }


async def test_unknown_changes_are_refused(org: SimulatedOrg) -> None:
    """A typo in a schema change or a mass edit is an error that lists the known names."""
    field = {"name": "X__c", "type": "txt"}
    with pytest.raises(RuntimeError, match="textarea"):
        await org.control("schema", {"op": "add_field", "object": "Lead", "field": field})
    with pytest.raises(RuntimeError, match="cascade_owner"):
        await org.control("untriggered", {"edit": "nothing"})
