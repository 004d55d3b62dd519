"""`rtsd package` with the channel stream, and from one channel to the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsd.config import Config
from rtsd.core.instant import DAY_MS
from rtsd.errors import ConfigError, Conflict
from rtsd.machine import wall_ms
from rtsd.salesforce.package import read_settings
from rtsd.workflows.check import inspect
from rtsd.workflows.installation import rotation
from rtsd.workflows.installation.deploying import SETTLE_S
from rtsd.workflows.installation.exporting import export
from tests.support.installation import TOKEN, Office

CHOSEN = "SELECT Channel__c, Sealed__c, Gateway_URL__c FROM RTS_Settings__c"
READS = (
    "SELECT SobjectType FROM ObjectPermissions WHERE SobjectType = 'RTS_Push__e' AND PermissionsRead = true"
)
CONTACT = '[[objects]]\nname = "Contact"\n'


def stream(office: Office, *, sealed: bool = False) -> Config:
    """The configuration of a stream, with no port and no address."""
    push = f'channel = "stream"\nsealed = {str(sealed).lower()}'
    return office.configuration(CONTACT, listen="", public_url="", push=push)


def gateway(office: Office) -> Config:
    """The configuration of a gateway."""
    return office.configuration(CONTACT)


async def told(office: Office, settings: Config) -> list[str]:
    """What `rtsd package status` finds."""
    return [f"{found.part}: {found.what}" for found in (await office.status(settings)).differences]


async def test_a_stream_needs_no_address(office: Office) -> None:
    """No remote site; the event, Read on it, and settings that publish. A second run has nothing to do."""
    outcome = await office.deploy(stream(office, sealed=True))
    assert outcome.left == []
    assert "wrote the settings: the package publishes RTS_Push__e" in outcome.done
    assert office.select(CHOSEN) == [("stream", True, None)]
    assert office.select("SELECT Id FROM RemoteProxy") == []
    assert len(office.select(READS)) == 1
    assert await told(office, stream(office, sealed=True)) == []
    assert (await office.deploy(stream(office, sealed=True))).done == []


CHANGED = {
    "UPDATE RTS_Settings__c SET Channel__c = 'gateway'": "settings: Channel__c is gateway, not stream",
    "UPDATE RTS_Settings__c SET Sealed__c = 1": "settings: Sealed__c is set, not not set",
    "UPDATE ObjectPermissions SET PermissionsRead = 0": "event: RTS_Sync does not grant Read on RTS_Push__e",
}


async def test_differences_are_named_and_put_right(office: Office) -> None:
    """Each of them, by one deployment; then a removal takes the event with everything else."""
    await office.deploy(stream(office))
    for statement in CHANGED:
        office.org.database.execute(statement)
    assert sorted(await told(office, stream(office))) == sorted(CHANGED.values())
    assert (await office.deploy(stream(office))).left == []
    assert await told(office, stream(office)) == []
    assert (await office.remove(stream(office))).left == []
    assert not [entity.name for entity in office.org.schema if entity.name.startswith("RTS_")]
    assert office.select("SELECT Id FROM ObjectPermissions") == []


async def test_from_the_gateway_to_the_stream_and_back(office: Office) -> None:
    """What the other channel needs goes last, after a pause for jobs under way; then nothing is left."""
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        if seconds == SETTLE_S:
            paused.append(seconds)
            assert office.select("SELECT Channel__c FROM RTS_Settings__c") == [(wanted,)]
            assert (office.select("SELECT Id FROM RemoteProxy") != []) is (office.select(READS) != [])

    office.no_pause = pause
    await office.deploy(gateway(office))
    assert office.select(READS) == []
    wanted = "stream"
    assert "other channel: remote site RTS_Gateway is not needed by the stream" in await told(
        office, stream(office)
    )
    outcome = await office.deploy(stream(office))
    assert (outcome.left, paused) == ([], [SETTLE_S])
    assert office.select("SELECT Id FROM RemoteProxy") == []
    wanted = "gateway"
    assert "other channel: Read on RTS_Push__e in RTS_Sync is not needed by the gateway" in await told(
        office, gateway(office)
    )
    outcome = await office.deploy(gateway(office))
    assert (outcome.left, paused) == ([], [SETTLE_S, SETTLE_S])
    assert office.select(READS) == []
    assert office.select(CHOSEN) == [("gateway", False, "http://127.0.0.1:9")]
    assert await told(office, gateway(office)) == []


async def test_production_changes_channels_with_a_test(office: Office) -> None:
    """It refuses NoTestRun, also for a deployment without Apex."""
    office.become("Enterprise Edition")
    await office.deploy(gateway(office))
    assert (await office.deploy(stream(office))).left == []
    assert office.select("SELECT Id FROM RemoteProxy") == []


async def test_an_older_package_is_replaced(office: Office) -> None:
    """Its settings have no channel: that is told as missing fields, and a deployment adds them.

    What its other settings say is read and told all the same.
    """
    await office.deploy(gateway(office))
    for name in ("Channel__c", "Sealed__c"):
        office.org.remove_field("RTS_Settings__c", name)
    office.org.database.execute("UPDATE RTS_Settings__c SET Token__c = 'of somebody else'")
    async with office.session(stream(office)) as (session, _):
        (row,) = await read_settings(session.client, with_token=True, with_channel=True) or []
    assert (row.channel, row.token) == (None, "of somebody else")
    found = await told(office, stream(office))
    assert any("RTS_Settings__c lacks Channel__c, Sealed__c" in line for line in found)
    assert [line for line in found if line.startswith("settings:")] == [
        "settings: Token__c is not one that rtsd accepts"
    ]
    assert (await office.deploy(stream(office))).left == []
    assert office.select("SELECT Channel__c FROM RTS_Settings__c") == [("stream",)]


async def test_an_export_has_the_event(office: Office, tmp_path: Path) -> None:
    """With Read on it and no remote site; its pages say which settings to make, and how it is removed."""
    export(stream(office), tmp_path / "project")
    core = tmp_path / "project/force-app/main/default"
    assert (core / "objects/RTS_Push__e/fields/Body__c.field-meta.xml").is_file()
    granted = (core / "permissionsets/RTS_Sync.permissionset-meta.xml").read_text()
    part = granted.partition("<object>RTS_Push__e")[0].rpartition("<objectPermissions>")[2]
    assert "<allowRead>true<" in part
    assert not list((tmp_path / "project").rglob("*.remoteSite*"))
    page = (tmp_path / "project/README.md").read_text()
    assert "Channel: `stream`; Sealed: off" in page
    assert "Made for the channel `stream`." in page
    removal = (tmp_path / "project/remove/package/destructiveChangesPost.xml").read_text()
    assert "<members>RTS_Push__e</members>" in removal


async def test_an_export_differs_by_its_channel_alone(office: Office, tmp_path: Path) -> None:
    """By one right, which its page names; Change Data Capture needs no package."""
    files = {}
    for config in (stream(office), gateway(office)):
        directory = tmp_path / config.push.channel
        export(config, directory)
        core = directory / "force-app"
        found = (path for path in core.rglob("*") if path.is_file())
        files[config.push.channel] = {path.relative_to(core): path.read_bytes() for path in found}
        assert f"Made for the channel `{config.push.channel}`." in (directory / "README.md").read_text()
    by_stream, by_gateway = files["stream"], files["gateway"]
    assert by_stream.keys() == by_gateway.keys()
    (differing,) = [path.name for path in by_stream if by_stream[path] != by_gateway[path]]
    assert differing == "RTS_Sync.permissionset-meta.xml"
    captured = office.configuration(CONTACT, listen="", push='channel = "cdc"')
    with pytest.raises(ConfigError, match="changes come without the package"):
        export(captured, tmp_path / "cdc")


async def test_the_tokens_of_push_are_rotated(office: Office) -> None:
    """The file of [push]; the old token stays for four days, as the bus keeps events for three."""
    own = office.place / "stream-token"
    own.touch(mode=0o600)
    own.write_text("stream-token-of-the-tests-01\n")
    push = 'channel = "stream"\ntoken_file = "stream-token"'
    settings = office.configuration(CONTACT, push=push)
    assert len(settings.hmac_keys) == 2

    async def rotate(later_ms: int = 0, *, finish: bool = False) -> rotation.Rotated:
        current = office.configuration(CONTACT, push=push)
        async with office.session(current) as (session, plan):
            step = rotation.finish if finish else rotation.begin
            return await step(session.client, plan, current, wall_ms() + later_ms)

    await office.deploy(settings)
    assert office.select("SELECT Token__c FROM RTS_Settings__c") == [("stream-token-of-the-tests-01",)]
    await rotate()
    old, new = own.read_text().split()
    assert office.select("SELECT Token__c FROM RTS_Settings__c") == [(new,)]
    with pytest.raises(Conflict, match="less than four days"):
        await rotate(3 * DAY_MS, finish=True)
    await rotate(4 * DAY_MS, finish=True)
    assert own.read_text().split() == [new]
    assert (office.place / "push-token").read_text().split() == [TOKEN]
    assert old != new


async def problems(settings: Config) -> list[str]:
    """What `rtsd check` finds about the package's channel."""
    return [found.what for found in (await inspect(settings)).problems if "ackage" in found.what]


async def test_a_check_compares_the_channel(office: Office) -> None:
    """Posted instead of published, sealed otherwise than configured; with a gateway it does not ask."""
    await office.deploy(gateway(office))
    assert await problems(gateway(office)) == []
    assert await problems(stream(office)) == [
        "The package posts its pushes to a gateway: it does not publish them."
    ]
    await office.deploy(stream(office))
    assert await problems(stream(office)) == []
    assert await problems(stream(office, sealed=True)) == [
        "The package does not seal its events, other than [push] sealed says."
    ]
