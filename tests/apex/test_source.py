"""The Apex that is shipped, as far as it can be checked without an org."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.apex import analysers
from tests.support.apex.source_rules import findings, object_fields
from tests.support.apex.standard_names import shadowing_classes

CORE = "force-app/"
CLASSES = "force-app/main/default/classes/"
TRIGGERS = "generated/main/default/triggers/"


def test_source_keeps_the_rules(tree: dict[str, bytes], scripts: dict[str, bytes]) -> None:
    """Triggers of one line, queries of fields that exist, access modes said, no callout in a save."""
    assert {"rts_error__c", "rts_synced_field__c"} <= object_fields(tree).keys()
    assert findings(tree) == []
    assert [f for f in findings({**tree, **scripts}) if "without its mode" not in f.message] == []


@pytest.mark.usefixtures("java")
def test_analysers_find_nothing(tree: dict[str, bytes], scripts: dict[str, bytes], tmp_path: Path) -> None:
    """apex-ls finds nothing in source and scripts, PMD nothing but what ruleset.xml has a reason for."""
    analysers.write({**tree, **scripts}, tmp_path)
    assert analysers.apex_ls(tmp_path) == []
    assert analysers.pmd(tmp_path, tree) == []


@pytest.mark.usefixtures("compiler")
def test_compiler_finds_nothing(tree: dict[str, bytes], scripts: dict[str, bytes], tmp_path: Path) -> None:
    """Salesforce's own compiler front end takes source and scripts."""
    analysers.write({**tree, **scripts}, tmp_path)
    assert analysers.compile_apex(tmp_path) == []


@pytest.mark.usefixtures("compiler")
def test_the_core_compiles_alone(tree: dict[str, bytes], tmp_path: Path) -> None:
    """An unlocked package of the core can be built without what is generated for an org."""
    analysers.write({path: content for path, content in tree.items() if path.startswith(CORE)}, tmp_path)
    assert analysers.compile_apex(tmp_path) == []


@pytest.mark.usefixtures("compiler")
def test_no_class_of_an_orgs_own_is_in_the_way(
    tree: dict[str, bytes], scripts: dict[str, bytes], tmp_path: Path
) -> None:
    """The package compiles in an org with a class for every standard name that a class can have."""
    shadows = shadowing_classes()
    assert len(shadows) > 200
    analysers.write({**tree, **scripts, **shadows}, tmp_path)
    assert analysers.compile_apex(tmp_path) == []


@pytest.mark.usefixtures("compiler")
def test_classes_in_the_way_would_be_seen(tree: dict[str, bytes], tmp_path: Path) -> None:
    """An unqualified name is an error beside the org's class, and a finding without it."""
    path = CLASSES + "RTS_Ping.cls"
    spoiled = {**tree, path: tree[path].replace(b"System.LoggingLevel", b"LoggingLevel")}
    assert [finding.message for finding in findings(spoiled)] == ["LoggingLevel without its namespace"]
    analysers.write({**spoiled, **shadowing_classes()}, tmp_path)
    assert {finding.path for finding in analysers.compile_apex(tmp_path)} == {path}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("Integer left = Limits.getQueries();", "Limits"),
        ("if (Test.isRunningTest()) { }", "Test"),
        ("Account one = (SObject) null;", "Account"),
        ("Object two = new Contact(LastName = 'Test');", "Contact"),
        ("List<HttpRequest> sent = new List<System.HttpRequest>();", "HttpRequest"),
        ("String text = Json.serialize(new Map<String, Object>());", "Json"),
        ("Database.insert(rows);", "Database"),
        ("Map<String, Schema.SObjectType> all = Schema.getGlobalDescribe();", "Schema"),
        ("Object kind = DisplayType.ADDRESS;", "DisplayType"),
        ("EventBus.publish(new List<SObject>());", "EventBus"),
        ("try { run(); } catch (DmlException e) { }", "DmlException"),
        ("String here = UserInfo.getOrganizationId();", "UserInfo"),
        ("String uid = UUID.randomUUID().toString();", "UUID"),
        ("Type kind = null;", "Type"),
        ("Database.SaveResult result = null; EventBus.TriggerContext context = null;", None),
        ("Schema.Account one = new Schema.Account(Site = 'Account'); // an Account", None),
        ("String type = String.valueOf(Datetime.now()) + System.now();", None),
        ("Object rows = [SELECT Id FROM Account WITH SYSTEM_MODE];", None),
    ],
)
def test_standard_types_without_namespace_are_found(source: str, found: str | None) -> None:
    """In every place of a name: type, constructor, static method, constant, generic, catch."""
    text = f"public without sharing class RTS_X {{\n    private static void run() {{\n {source}\n    }}\n}}\n"
    told = [
        finding.message
        for finding in findings({CLASSES + "RTS_X.cls": text.encode()})
        if "namespace" in finding.message
    ]
    assert told == ([] if found is None else [f"{found} without its namespace"])
