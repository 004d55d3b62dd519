"""The package that rtsd ships, deployed as a zip: installed, at work, removed."""

from __future__ import annotations

from rtsd.apex import components, destructive_zip, metadata_zip, trigger_names
from rtssim.process import SimulatedOrg
from tests.support.rtssim.api import Api, Deploy, Gateway

OBJECTS = ["Contact", "User", "Invoice__c"]


async def test_deployed_and_removed(org: SimulatedOrg, api: Api, gateway: Gateway, deploy: Deploy) -> None:
    """Every component is taken, a change is pushed, and nothing is left after the removal."""
    result = await deploy(metadata_zip(OBJECTS, gateway.url, "62.0"), checkOnly=True)
    assert result["success"], result
    before = await left(api)
    result = await deploy(metadata_zip(OBJECTS, gateway.url, "62.0"))
    assert result["success"]
    assert result["numberComponentsDeployed"] == sum(map(len, components(OBJECTS).values()))
    found = await api.query("SELECT Name, TableEnumOrId FROM ApexTrigger WHERE Name LIKE 'RTS_%'")
    triggers = {row["TableEnumOrId"]: row["Name"] for row in found["records"]}
    assert triggers == {**trigger_names(OBJECTS), "RTS_Change__e": "RTS_Change_Event"}

    settings = {
        "SetupOwnerId": org.info["org_id"],
        "Org_Id__c": org.info["org_id"],
        "Gateway_URL__c": gateway.url,
        "Token__c": gateway.token,
    }
    assert (await api.call("POST", "/sobjects/RTS_Settings__c", json=settings))[0] == 201
    await org.dml("create", "Contact", rows=[{"LastName": "pushed"}])
    (push,) = await gateway.wait(1)
    assert push["changes"][0]["fields"]["LastName"] == "pushed"

    removed = await deploy(destructive_zip(OBJECTS, "62.0"))
    assert removed["success"]
    assert await left(api) == before == []


async def left(api: Api) -> list[str]:
    """What is in the org of the package."""
    described = await api.get("/sobjects")
    names = [entry["name"] for entry in described["sobjects"] if entry["name"].startswith("RTS_")]
    for kind in ("ApexClass", "ApexTrigger"):
        found = await api.query(f"SELECT Name FROM {kind} WHERE Name LIKE 'RTS_%'")
        names += [row["Name"] for row in found["records"]]
    return names
