"""The simulated org, or a real one, driven by simple-salesforce."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from tests.support.salesforce.target import Target

TEXT = 'Zeile 1\nZeile 2 "Zitat", Komma; Straße 東京 👩‍👩‍👧‍👦'


@pytest.fixture
def contact(client: Salesforce) -> Iterator[str]:
    """A contact that is gone after the test."""
    record_id = client.Contact.create({"LastName": "Conformance", "Description": TEXT})["id"]
    yield record_id
    try:
        client.Contact.delete(record_id)
    except (SalesforceMalformedRequest, SalesforceResourceNotFound):
        return


def test_client_credentials(client: Salesforce) -> None:
    """Client credentials by a Basic header log in, and the session works."""
    assert client.query("SELECT Id FROM Organization")["totalSize"] == 1


def test_wrong_secret_is_refused(target: Target) -> None:
    """A wrong secret ends in simple-salesforce's login error with the OAuth code."""
    with pytest.raises(SalesforceAuthenticationFailed) as caught:
        Salesforce(
            consumer_key=target.client_id,
            consumer_secret="wrong",
            domain=target.domain,
            session=target.session(),
        )
    assert "invalid_client" in str(caught.value.code)


def test_jwt_bearer(target: Target) -> None:
    """A JWT with exp as a string, as simple-salesforce sends it, logs in."""
    if target.private_key is None:
        pytest.skip("no private key")
    sf = Salesforce(
        username=target.username,
        consumer_key=target.client_id,
        privatekey=target.private_key,
        session=target.session(),
    )
    assert sf.query("SELECT Id FROM Organization")["done"]


def test_password_flow_and_soap_login(target: Target) -> None:
    """The OAuth password flow and SOAP login() both give a working session."""
    if target.password is None:
        pytest.skip("no password")
    user: dict[str, Any] = {"username": target.username, "session": target.session()}
    oauth = Salesforce(
        **user,
        password=target.password + (target.security_token or ""),
        consumer_key=target.client_id,
        consumer_secret=target.client_secret,
    )
    soap = Salesforce(**user, password=target.password, security_token=target.security_token)
    assert oauth.query("SELECT Id FROM User LIMIT 1") == soap.query("SELECT Id FROM User LIMIT 1")


def test_soap_login_refused(target: Target) -> None:
    """A wrong password is INVALID_LOGIN in the SOAP fault that simple-salesforce parses."""
    with pytest.raises(SalesforceAuthenticationFailed) as caught:
        Salesforce(username="a@b.c", password="<&>", security_token="x", session=target.session())
    assert caught.value.code == "INVALID_LOGIN"


def test_describe(client: Salesforce) -> None:
    """Describe and describeGlobal have the documented keys, and name the same object."""
    entry = next(item for item in client.describe()["sobjects"] if item["name"] == "Contact")
    document = client.Contact.describe()
    assert entry["keyPrefix"] == document["keyPrefix"] == "003"
    fields = {field["name"]: field for field in document["fields"]}
    assert fields["AccountId"]["referenceTo"] == ["Account"]
    assert fields["Email"]["type"] == "email"
    assert fields["SystemModstamp"]["soapType"] == "xsd:dateTime"
    assert client.Contact.metadata()["objectDescribe"]["name"] == "Contact"


def test_record_life(client: Salesforce, contact: str) -> None:
    """Create, read, update, delete one record; text comes back byte-exact."""
    record = client.Contact.get(contact)
    assert record["attributes"]["type"] == "Contact"
    assert record["Description"] == TEXT
    assert client.Contact.update(contact, {"Title": "Chief"}) == 204
    assert client.Contact.get(contact)["Title"] == "Chief"
    assert client.Contact.delete(contact) == 204
    with pytest.raises(SalesforceResourceNotFound) as caught:
        client.Contact.get(contact)
    assert caught.value.content[0]["errorCode"] in ("ENTITY_IS_DELETED", "NOT_FOUND")


def test_write_errors_name_the_field(client: Salesforce) -> None:
    """A missing required field is refused with errorCode, message and fields."""
    with pytest.raises(SalesforceMalformedRequest) as caught:
        client.Contact.create({"FirstName": "nobody"})
    error = caught.value.content[0]
    assert error["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert error["fields"] == ["LastName"]


def test_query_errors(client: Salesforce) -> None:
    """An unknown field and an unknown object give Salesforce's codes and message shape."""
    with pytest.raises(SalesforceMalformedRequest) as caught:
        client.query("SELECT Naem FROM Account")
    error = caught.value.content[0]
    assert error["errorCode"] == "INVALID_FIELD"
    assert "ERROR at Row:1:Column:8\nNo such column 'Naem' on entity 'Account'" in error["message"]
    with pytest.raises(SalesforceMalformedRequest) as caught:
        client.query("SELECT Id FROM Acount")
    assert caught.value.content[0]["errorCode"] == "INVALID_TYPE"


def test_query_all_pages(client: Salesforce) -> None:
    """query_all walks the locators and finds every row once."""
    expected = client.query("SELECT COUNT() FROM Contact")["totalSize"]
    rows = client.query_all("SELECT Id, Account.Name FROM Contact")
    assert (
        rows["totalSize"] == len(rows["records"]) == len({row["Id"] for row in rows["records"]}) == expected
    )


def test_deleted_rows_by_query_all(client: Salesforce, contact: str) -> None:
    """A deleted row is out of query and in queryAll, and /deleted names it."""
    client.Contact.delete(contact)
    soql = f"SELECT Id, IsDeleted FROM Contact WHERE Id = '{contact}'"
    assert client.query(soql)["totalSize"] == 0
    assert client.query(soql, include_deleted=True)["records"][0]["IsDeleted"] is True


def test_replication(client: Salesforce, contact: str) -> None:
    """/updated names a new row within its window; both bounds lose their seconds."""
    end = datetime.now(UTC) + timedelta(minutes=2)
    answer = client.Contact.updated(end - timedelta(minutes=10), end)
    assert contact in answer["ids"]
    with pytest.raises(SalesforceMalformedRequest) as caught:
        client.Contact.deleted(end, end)
    assert caught.value.content[0]["errorCode"] == "INVALID_REPLICATION_DATE"


def test_bulk2_query(client: Salesforce, contact: str) -> None:
    """A Bulk 2.0 query job gives the same rows as REST, text byte-exact."""
    soql = f"SELECT Id, LastName, Description, AccountId FROM Contact WHERE Id = '{contact}'"
    pages = list(client.bulk2.Contact.query(soql, wait=1))
    rows = [row for page in pages for row in csv.DictReader(io.StringIO(page, newline=""))]
    assert rows == [{"Id": contact, "LastName": "Conformance", "Description": TEXT, "AccountId": ""}]


def test_bulk2_pages(client: Salesforce) -> None:
    """Each page repeats the header, and the pages together hold every row once."""
    expected = client.query("SELECT COUNT() FROM Contact")["totalSize"]
    pages = list(client.bulk2.Contact.query("SELECT Id, Email FROM Contact", max_records=1_000, wait=1))
    rows = [row["Id"] for page in pages for row in csv.DictReader(io.StringIO(page, newline=""))]
    assert len(pages) == -(-expected // 1_000)
    assert len(rows) == len(set(rows)) == expected


def test_bulk2_refusals(client: Salesforce) -> None:
    """Bulk refuses aggregates and compound fields when the job is created."""
    for soql in ("SELECT COUNT(Id) FROM Contact", "SELECT Id, MailingAddress FROM Contact"):
        with pytest.raises(SalesforceMalformedRequest):
            list(client.bulk2.Contact.query(soql))


def test_limits(client: Salesforce) -> None:
    """/limits tells what is left, and the header of every answer tells what is used."""
    before = client.limits()["DailyApiRequests"]
    assert 0 < before["Remaining"] < before["Max"]
    assert client.api_usage["api-usage"].total == before["Max"]


def test_tooling(client: Salesforce) -> None:
    """Apex is found by the Tooling API; the installed packages are a list."""
    triggers = client.toolingexecute("query/?q=SELECT+Id,Name,Status+FROM+ApexTrigger")
    packages = client.toolingexecute("query/?q=SELECT+Id+FROM+InstalledSubscriberPackage")
    assert triggers["done"]
    assert packages["totalSize"] == len(packages["records"])


def test_collections(client: Salesforce, contact: str) -> None:
    """composite/sobjects aligns its answer with the ids: null for what is not there."""
    absent = "003000000000000AAA"
    body = {"ids": [contact, absent, contact], "fields": ["Id", "LastName"]}
    answer = client.restful("composite/sobjects/Contact", method="POST", json=body)
    assert [row and row["LastName"] for row in answer] == ["Conformance", None, "Conformance"]


def test_expired_session(target: Target) -> None:
    """A token that is no session is the 401 that simple-salesforce takes for an expired one."""
    sf = Salesforce(
        session_id="00D!bad", instance=f"{target.domain}.salesforce.com", session=target.session()
    )
    with pytest.raises(SalesforceExpiredSession) as caught:
        sf.query("SELECT Id FROM User")
    assert caught.value.content[0]["errorCode"] == "INVALID_SESSION_ID"
