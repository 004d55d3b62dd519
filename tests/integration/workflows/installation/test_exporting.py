"""`rtsd package export`: an administrator with the Salesforce CLI removes the package by its page."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from rtsd.salesforce import deploy
from rtsd.salesforce.deploy import NO_TESTS, ApexTests
from rtsd.workflows.installation.exporting import export
from tests.support.installation import Office

COMMAND = re.compile(
    r"^\$ sf (?:apex run .*--file (?P<script>\S+)"
    r"|project deploy start .*--metadata-dir (?P<folder>\S+) --single-package"
    r" --test-level RunSpecifiedTests --tests (?P<test>\S+))$",
    re.MULTILINE,
)


def zipped(folder: Path) -> bytes:
    """The zip that the CLI makes of a folder."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return content.getvalue()


async def follow(office: Office, directory: Path, commands: list[re.Match[str]], test: str = "") -> None:
    """Run commands of a page as the CLI does; `test` is the administrator's own, in production."""
    async with office.session() as (session, _):
        for command in commands:
            if command["script"]:
                await deploy.run_anonymous(session.client, (directory / command["script"]).read_text())
                continue
            named = command["test"].replace("YOUR_TEST", test)
            tests = ApexTests("RunSpecifiedTests", (named,)) if named else NO_TESTS
            content = zipped(directory / command["folder"])
            await deploy.deploy(
                session.client,
                content,
                tests,
                check_only=False,
                purge=False,
                on_progress=office.progress.append,
            )


def page(directory: Path) -> dict[str, list[re.Match[str]]]:
    """The commands of REMOVE.md by section."""
    sections = (directory / "REMOVE.md").read_text().split("\n## ")[1:]
    return {section.partition("\n")[0]: list(COMMAND.finditer(section)) for section in sections}


@pytest.mark.parametrize("edition", ["Developer Edition", "Enterprise Edition"])
async def test_the_page_removes_everything(edition: str, office: Office, tmp_path: Path) -> None:
    """With heartbeats scheduled, a job waiting, people assigned, and failing tests of others."""
    office.become(edition)
    production = edition == "Enterprise Edition"
    for name in ("Their_Failing_Test", "Their_Test"):
        theirs = {"Name": name, "Body": f"@IsTest private class {name} {{ }}"}
        office.org.create(office.org.admin, "ApexClass", [theirs])[0].unwrap()
    await office.deploy()
    await office.sim.fault("test_failed", path="Their_Failing_Test")
    (sender,) = office.select("SELECT Id FROM ApexClass WHERE Name = 'RTS_Sender'")[0]
    job = {"ApexClassId": sender, "JobType": "Queueable", "Status": "Queued"}
    office.org.create(office.org.admin, "AsyncApexJob", [job])[0].unwrap()
    directory = tmp_path / "export"
    written = export(office.configuration(), directory)
    assert written == sum(1 for path in directory.rglob("*") if path.is_file())
    steps = page(directory)
    assert [len(commands) for commands in steps.values()] == [2, 1, 1, 0, 1, 0]
    await follow(office, directory, steps["1. Stop it"])
    assert (await office.status()).disabled is True
    assert office.select("SELECT Id FROM CronTrigger") == []
    assert office.select("SELECT Id FROM PermissionSetAssignment WHERE PermissionSet.Name LIKE 'RTS%'") == []
    await follow(office, directory, steps["2. Remove it"])
    assert office.select("SELECT Name FROM ApexClass WHERE Name LIKE 'RTS%'") == [("RTS_Removal_Test",)]
    await follow(office, directory, steps["3. Remove the last class"], "Their_Test" if production else "")
    found = await office.status()
    assert (found.state, found.triggers, found.jobs) == ("missing", [], {})
    assert office.select("SELECT Name FROM ApexClass ORDER BY Name") == [
        ("Their_Failing_Test",),
        ("Their_Test",),
    ]
    for kind in ("ApexTrigger", "RemoteProxy", "PlatformEventSubscriberConfig", "Folder"):
        assert office.select(f"SELECT Id FROM {kind}") == []
    assert not [entity.name for entity in office.org.schema if entity.name.startswith("RTS_")]


async def test_what_is_generated_goes_before_an_unlocked_package(office: Office, tmp_path: Path) -> None:
    """Uninstalling the core needs an org without the Apex triggers that call it."""
    await office.deploy()
    directory = tmp_path / "export"
    export(office.configuration(), directory)
    steps = page(directory)
    await follow(office, directory, steps["1. Stop it"])
    await follow(office, directory, steps["If the core is an unlocked package"])
    triggers = [name for (name,) in office.select("SELECT Name FROM ApexTrigger ORDER BY Name")]
    assert triggers == ["RTS_Change_Event", "RTS_Synced_Field"]
    generated = "SELECT Name FROM ApexClass WHERE Name LIKE 'RTS_Trigger%'"
    assert office.select(generated) == []
    assert office.select("SELECT Id FROM RemoteProxy") == []


async def test_a_second_export_replaces_the_first(office: Office, tmp_path: Path) -> None:
    """A trigger of a former object is in neither project nor manifest."""
    directory = tmp_path / "export"
    export(office.configuration(), directory)
    export(office.configuration('[[objects]]\nname = "Contact"\n'), directory)
    assert not list(directory.rglob("*Invoice*"))
    assert "RTS_Invoice" not in (directory / "remove/package/destructiveChangesPost.xml").read_text()
