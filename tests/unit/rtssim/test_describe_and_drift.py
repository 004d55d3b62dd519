"""Describe documents, hidden objects and fields, and schema changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rtssim.org import Org, OrgError, Principal
from rtssim.schema import fields as make_field
from rtssim.schema.model import ObjectType
from tests.support.rtssim.rows import ids_of, make, records

FIELD_KEYS = (
    "aggregatable aiPredictionField autoNumber byteLength calculated calculatedFormula cascadeDelete "
    "caseSensitive compoundFieldName controllerName createable custom defaultValue "
    "defaultValueFormula defaultedOnCreate dependentPicklist deprecatedAndHidden digits "
    "displayLocationInDecimal encrypted externalId extraTypeInfo filterable filteredLookupInfo "
    "formulaTreatNullNumberAsZero groupable highScaleNumber htmlFormatted idLookup inlineHelpText "
    "label length mask maskType name nameField namePointing nillable permissionable picklistValues "
    "polymorphicForeignKey precision queryByDistance referenceTargetField referenceTo "
    "relationshipName relationshipOrder restrictedDelete restrictedPicklist scale searchPrefilterable "
    "soapType sortable type unique updateable writeRequiresMasterRead "
)


def described(org: Org, obj: str) -> dict[str, dict[str, Any]]:
    """Return the fields of a describe by name."""
    return {field["name"]: field for field in org.describe(org.sync_user, obj)[0]["fields"]}


def test_global(crm: Org) -> None:
    """DescribeGlobal lists every object; the package's are absent until it is installed."""
    entries = {entry["name"]: entry for entry in crm.describe_global(crm.sync_user, "/services/data/v66.0")}
    assert {"Account", "Contact", "Lead", "User", "Invoice__c", "ApexTrigger"} <= set(entries)
    assert not any(name.startswith("RTS_") for name in entries)
    account = entries["Account"]
    assert (account["keyPrefix"], account["custom"], account["mergeable"]) == ("001", False, True)
    assert account["urls"]["describe"] == "/services/data/v66.0/sobjects/Account/describe"
    assert entries["Invoice__c"]["custom"]
    assert not entries["CampaignMember"]["undeletable"]


@pytest.mark.parametrize("obj", ["Account", "Contact", "Lead", "Opportunity", "Task", "User", "Attachment"])
def test_every_key_is_there(crm: Org, obj: str) -> None:
    """Each field has the whole key set of the REST API, and the system fields are there."""
    document = crm.describe(crm.sync_user, obj)[0]
    for field in document["fields"]:
        assert set(field) == set(FIELD_KEYS.split()), field["name"]
    assert {"Id", "CreatedDate", "SystemModstamp"} <= {field["name"] for field in document["fields"]}
    assert {"childRelationships", "recordTypeInfos", "supportedScopes"} <= set(document)


def test_flags(crm: Org) -> None:
    """Types tell what a mirror must know: compounds, formulas, references, long texts."""
    contact = described(crm, "Contact")
    assert contact["FirstName"]["compoundFieldName"] == "Name"
    assert contact["MailingCity"]["compoundFieldName"] == "MailingAddress"
    assert (contact["MailingAddress"]["type"], contact["MailingAddress"]["soapType"]) == (
        "address",
        "urn:address",
    )
    assert (contact["Account_Tier__c"]["calculated"], contact["Account_Tier__c"]["createable"]) == (
        True,
        False,
    )
    assert not contact["Description"]["filterable"]
    assert (contact["AccountId"]["referenceTo"], contact["AccountId"]["relationshipName"]) == (
        ["Account"],
        "Account",
    )
    assert contact["Languages__c"]["picklistValues"][0]["value"] == "English"
    assert not contact["SystemModstamp"]["createable"]
    task = described(crm, "Task")
    assert task["WhoId"]["referenceTo"] == ["Contact", "Lead"]
    assert task["WhoId"]["polymorphicForeignKey"]
    roll_up = described(crm, "Account")["Open_Pipeline__c"]
    assert (roll_up["calculated"], roll_up["calculatedFormula"]) == (True, None)


def test_relationships_meet(crm: Org) -> None:
    """Every reference leads to an object that is described, and shows up among its child relationships."""
    for obj in crm.schema:
        for field in obj.fields.values():
            for target in field.reference_to:
                children = crm.describe(crm.sync_user, target)[0]["childRelationships"]
                found = [c for c in children if (c["childSObject"], c["field"]) == (obj.name, field.name)]
                assert len(found) == 1


def test_hidden_things(org: Org) -> None:
    """Hidden objects and fields are not described, queried, written or returned."""
    account = make(org, "Account", Name="a", Phone="1")
    other = make(org, "Account", Name="b")
    make(org, "Contact", LastName="c", AccountId=other)
    who = Principal(
        org.sync_user.user_id,
        hidden_objects=frozenset({"Lead"}),
        hidden_fields=frozenset({("Account", "Phone")}),
        hidden_records=frozenset({other}),
    )
    assert "Lead" not in {entry["name"] for entry in org.describe_global(who)}
    assert "Phone" not in {field["name"] for field in org.describe(who, "Account")[0]["fields"]}
    for soql, code in (
        ("SELECT Id FROM Lead", "INVALID_TYPE"),
        ("SELECT Phone FROM Account", "INVALID_FIELD"),
        ("SELECT Account.Phone FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Phone = '1'", "INVALID_FIELD"),
    ):
        with pytest.raises(OrgError) as caught:
            org.query(who, soql)
        assert caught.value.code == code
    assert "Phone" not in org.query(who, "SELECT FIELDS(ALL) FROM Account LIMIT 1").columns
    assert [row[0] for row in org.query(who, "SELECT Id FROM Account").rows()] == [account]
    assert org.query(who, "SELECT COUNT() FROM Account").total_size == 1
    assert next(org.query(who, "SELECT Account.Name FROM Contact").records())["Account"] is None
    assert org.retrieve(who, "Account", [other, account], ["Name"])[0] is None
    assert org.update(who, "Account", [{"Id": other, "Name": "x"}])[0].errors[0].code == "NOT_FOUND"
    assert org.update(who, "Account", [{"Id": account, "Phone": "2"}])[0].errors[0].code == "INVALID_FIELD"
    with pytest.raises(OrgError, match="does not exist"):
        org.describe(who, "Lead")


def test_own_rows_only(org: Org) -> None:
    """Without View All Data a user sees the rows they own."""
    make(org, "Account", Name="theirs")
    who = Principal(org.admin.user_id, view_all=False)
    own = org.create(who, "Account", [{"Name": "own"}])[0].unwrap()
    assert [row[0] for row in org.query(who, "SELECT Id FROM Account").rows()] == [own]


def test_add_field(org: Org) -> None:
    """A new field is described, queried and written; its default fills rows, stamped by a switch."""
    made = make(org, "Account", Name="a")
    for number, moves in enumerate((False, True)):
        org.switches.new_field_default_moves_stamp = moves
        before = (records(org, "SELECT SystemModstamp FROM Account"), org.described_at())
        org.clock.advance(60)
        org.add_field("Account", make_field.checkbox(f"New{number}__c", default=True))
        assert described(org, "Account")[f"New{number}__c"]["type"] == "boolean"
        assert ids_of(org, f"SELECT New{number}__c FROM Account") == [True]
        assert (records(org, "SELECT SystemModstamp FROM Account") != before[0]) is moves
        assert org.describe(org.sync_user, "Account")[1] == org.described_at() > before[1]
    org.update(org.sync_user, "Account", [{"Id": made, "New0__c": False}])
    assert ids_of(org, "SELECT New0__c FROM Account") == [False]
    with pytest.raises(OrgError, match="already a field"):
        org.add_field("Account", make_field.text("name"))


def test_remove_field_and_add_again(org: Org) -> None:
    """A removed field is unknown everywhere; added again it is empty."""
    make(org, "Contact", LastName="c", Level__c="Primary")
    org.clock.advance(60)
    org.remove_field("Contact", "Level__c")
    assert "Level__c" not in described(org, "Contact")
    assert ids_of(org, "SELECT SystemModstamp FROM Contact") == ["2026-03-01T10:01:00.000+0000"]
    with pytest.raises(OrgError, match="No such column 'Level__c'"):
        org.query(org.sync_user, "SELECT Level__c FROM Contact")
    with pytest.raises(OrgError, match="No such column"):
        make(org, "Contact", LastName="c", Level__c="Primary")
    org.add_field("Contact", make_field.text("Level__c", 10))
    assert ids_of(org, "SELECT Level__c FROM Contact") == [None]


def test_change_type(org: Org) -> None:
    """A changed type converts what it can: text to number and number to text."""
    for site in ("12", "no number", None):
        make(org, "Account", Name="a", Site=site, NumberOfEmployees=5)
    org.change_field_type("Account", "Site", make_field.number("Site", 10, 2))
    org.change_field_type("Account", "NumberOfEmployees", make_field.text("NumberOfEmployees", 10))
    assert described(org, "Account")["Site"]["type"] == "double"
    assert sorted(ids_of(org, "SELECT Site FROM Account"), key=str) == [12.0, None, None]
    assert set(ids_of(org, "SELECT NumberOfEmployees FROM Account WHERE NumberOfEmployees = '5'")) == {"5"}


def test_package_objects_and_custom_objects(org: Org) -> None:
    """Objects come and go; the package's are a custom setting and two custom objects."""
    org.add_package_objects()
    org.add_package_objects()
    settings = next(e for e in org.describe_global(org.sync_user) if e["name"] == "RTS_Settings__c")
    assert settings["customSetting"]
    make(org, "RTS_Settings__c", SetupOwnerId=org.org_id, Token__c="t")
    org.upsert(
        org.sync_user, "RTS_Synced_Field__c", "Key__c", [{"Key__c": "Contact.Email", "Condition__c": True}]
    )
    assert records(org, "SELECT Disable_RTS__c, Error_Logging__c FROM RTS_Settings__c") == [
        {"Disable_RTS__c": False, "Error_Logging__c": True}
    ]
    assert len(set(ids_of(org, "SELECT Name FROM RTS_Synced_Field__c"))) == 1
    org.remove_object("RTS_Settings__c")
    with pytest.raises(OrgError, match="is not supported"):
        org.query(org.sync_user, "SELECT Id FROM RTS_Settings__c")
    columns = [make_field.ident(), *make_field.audit(), make_field.text("Name", 80, name_field=True)]
    org.add_object(ObjectType("Extra__c", "Extra", "Extras", "a0Z", {f.name: f for f in columns}))
    assert make(org, "Extra__c", Name="x").startswith("a0Z")
    with pytest.raises(OrgError, match="already an object"):
        org.add_object(replace(org.schema["Extra__c"]))


def test_apex_rows(org: Org) -> None:
    """Classes and triggers are rows that can be made, found by name, and deleted for good."""
    made = make(org, "ApexTrigger", Name="RTS_Contact", TableEnumOrId="Contact", Body="trigger")
    assert records(org, "SELECT Name, Status, IsValid FROM ApexTrigger WHERE TableEnumOrId = 'Contact'") == [
        {"Name": "RTS_Contact", "Status": "Active", "IsValid": True}
    ]
    org.delete(org.sync_user, "ApexTrigger", [made])
    assert org.state_of("ApexTrigger", made) == "absent"


def test_blob(org: Org) -> None:
    """A base64 field is a place in records and bytes when asked for."""
    account = make(org, "Account", Name="a")
    made = make(org, "Attachment", ParentId=account, Name="f", Body="w7xuaQ==")
    (record,) = org.retrieve(org.sync_user, "Attachment", [made], base="/services/data/v66.0")
    assert record is not None
    assert record["Body"] == f"/services/data/v66.0/sobjects/Attachment/{made}/Body"
    assert record["BodyLength"] == 4
    assert org.blob(org.sync_user, "Attachment", made, "body").decode() == "üni"
    with pytest.raises(OrgError, match="does not exist"):
        org.blob(org.sync_user, "Attachment", made, "Name")


def test_retrieve_is_aligned(org: Org) -> None:
    """Records keep the order of the ids, None for missing rows, repeats included; a bad field fails all."""
    kept, deleted = make(org, "Account", Name="a"), make(org, "Account", Name="b")
    org.delete(org.sync_user, "Account", [deleted])
    found = org.retrieve(
        org.sync_user, "Account", [kept[:15], deleted, "001000000000001", kept], ["name", "Id"]
    )
    assert [record and record["Name"] for record in found] == ["a", None, None, "a"]
    with pytest.raises(OrgError, match="No such column 'Nope'"):
        org.retrieve(org.sync_user, "Account", [kept], ["Nope"])
