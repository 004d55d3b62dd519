"""The Apex that is shipped, as far as it can be checked without an org."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.apex import analysers
from tests.support.apex.source_rules import findings, object_fields
from tests.support.apex.standard_names import shadowing_classes

CLASSES = "force-app/main/default/classes/"
TRIGGERS = "force-app/main/default/triggers/"

# A mutant is one mistake in one file: (file, old, new, who is to find it). One that nobody finds is listed
# as well, so that nobody believes the checks to be an org.
MUTANTS = [
    ("RTS_Errors.cls", "Batch_Uid__c = batch.uid", "Batch_Uuid__c = batch.uid", "apex-ls"),  # a wrong field
    ("RTS_Handler.cls", "RTS_Exit.leave(", "RTS_Exit.depart(", "apex-ls"),  # a missing method
    ("RTS_Retry.cls", "Integer delay =", "String delay =", "apex-ls"),  # a wrong type
    ("RTS_Ping.cls", "        return said;\n", "", "apex-ls"),  # no return
    ("RTS_Rows.cls", "DisplayType.ADDRESS", "DisplayType.ADRESS", "apex-ls"),  # no such constant
    ("RTS_Conditions.cls", "SELECT Object__c, Field__c", "SELECT Object__c, Feild__c", "rules"),  # in SOQL
    ("RTS_Contact.trigger", "RTS_Handler.run(", "new Http().send(null); RTS_Handler.run(", "rules"),
    ("RTS_Account.trigger", "after undelete", "before undelete", "rules"),  # no such event
    ("RTS_Difference.cls", "public without sharing class", "public class", "rules"),  # whose rows, unsaid
    ("RTS_Gateway.cls", "return RTS_Answer.unreachable(e);", "", "apex-ls"),  # an error swallowed
    ("RTS_Relay.cls", "sent++;", "sent++;\ninsert events;", "rules"),
    ("RTS_Config.cls", "here.equals(id.trim().left(SHORT_ID))", "here == id.trim().left(SHORT_ID)", None),
]  # fmt: skip


@pytest.fixture(scope="module")
def java() -> None:
    """Skip, and say why, where the analysers can't run."""
    reason = analysers.missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def compiler() -> None:
    """Skip, and say why, where the compiler can't run."""
    reason = analysers.compiler_missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def mutated(tree: dict[str, bytes]) -> dict[str, bytes]:
    """The project with every mutant in it, each in a file of its own."""
    changed = dict(tree)
    for file, old, new, _ in MUTANTS:
        path = located(file)
        assert changed[path] == tree[path], f"two mutants in {file}"
        assert tree[path].count(old.encode()) == 1, f"{file} does not hold {old!r} once"
        changed[path] = tree[path].replace(old.encode(), new.encode())
    return changed


def located(file: str) -> str:
    """A file's path in the project."""
    return (TRIGGERS if file.endswith(".trigger") else CLASSES) + file


def test_source_keeps_the_rules(tree: dict[str, bytes], scripts: dict[str, bytes]) -> None:
    """Triggers of one line, queries of fields that exist, access modes said, no callout in a save."""
    assert {"rts_error__c", "rts_synced_field__c"} <= object_fields(tree).keys()
    assert findings(tree) == []
    assert [f for f in findings({**tree, **scripts}) if "without its mode" not in f.message] == []


def test_rules_find_their_mutants(mutated: dict[str, bytes]) -> None:
    """Each mistake that the rules are there for is found, and nothing is found where none was made."""
    found = {Path(finding.path).name for finding in findings(mutated)}
    assert found == {file for file, _, _, finder in MUTANTS if finder == "rules"}


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


@pytest.mark.usefixtures("java")
def test_mutants_are_caught(mutated: dict[str, bytes], tmp_path: Path) -> None:
    """Of ten mistakes and more, each is found by who is to find it, in its file; at least eight in all."""
    analysers.write(mutated, tmp_path)
    by_apex_ls = {Path(finding.path).name for finding in analysers.apex_ls(tmp_path)}
    assert {file for file, _, _, finder in MUTANTS if finder == "apex-ls"} <= by_apex_ls
    caught = by_apex_ls | {Path(finding.path).name for finding in findings(mutated)}
    wanted = {file for file, _, _, finder in MUTANTS if finder}
    assert caught == wanted
    assert len(MUTANTS) >= 10
    assert len(wanted) >= 8
