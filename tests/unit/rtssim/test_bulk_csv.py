"""Bulk CSV: format, and agreement with REST row by row."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from rtssim.org import Org
from tests.support.rtssim.rows import make

ODD = 'a "quoted", text;\nwith\r\nline ends\r and 😀 % %s %w \\ \u2028 end '


def text_of(org: Org, soql: str, **form: str) -> str:
    """Return a query's whole CSV."""
    result = org.query(org.sync_user, soql, bulk=True)
    chunks = result.csv_chunks(2000, **form)
    return (result.csv_header(**form) + b"".join(chunk for _, chunk in chunks)).decode()


def test_form(org: Org) -> None:
    """Everything is quoted, quotes are doubled, null is empty, booleans and datetimes print as XML does."""
    account = make(org, "Account", Name="Ä", AnnualRevenue=5, NumberOfEmployees=7)
    make(org, "Contact", LastName=ODD, AccountId=account, Score__c=1.25)
    soql = (
        "SELECT lastname, FirstName, DoNotCall, CreatedDate, Score__c, Account.Name, Account.AnnualRevenue,"
        " Account.NumberOfEmployees FROM Contact"
    )
    assert text_of(org, soql) == (
        '"LastName","FirstName","DoNotCall","CreatedDate","Score__c","Account.Name","Account.AnnualRevenue",'
        '"Account.NumberOfEmployees"\n'
        '"{}","","false","2026-03-01T10:00:00.000Z","1.25","Ä","5.0","7"\n'.format(ODD.replace('"', '""'))
    )


def test_switches(org: Org) -> None:
    """Header case, int form and the datetime's end follow switches; delimiter and line end the job."""
    make(org, "Account", Name="x", NumberOfEmployees=7)
    org.switches.csv_header = "typed"
    org.switches.csv_int_as_float = True
    org.switches.csv_datetime = "+0000"
    assert text_of(
        org, "SELECT nAME, numberofemployees, CreatedDate FROM Account", delimiter="|", line_ending="\r\n"
    ) == ('"nAME"|"numberofemployees"|"CreatedDate"\r\n"x"|"7.0"|"2026-03-01T10:00:00.000+0000"\r\n')


@pytest.mark.parametrize("obj", ["Account", "Contact", "Lead", "Opportunity", "Task", "Invoice__c"])
def test_agrees_with_rest(crm: Org, obj: str) -> None:
    """Every plain field of every row is the same value in CSV and in REST."""
    names = [f.name for f in crm.schema[obj].fields.values() if f.type not in ("address", "base64")]
    soql = f"SELECT {', '.join(names)} FROM {obj}"
    parsed = list(csv.DictReader(io.StringIO(text_of(crm, soql), newline="")))
    rest = list(crm.query(crm.sync_user, soql).rows())
    assert len(parsed) == len(rest) > 0
    for line, row in zip(parsed, rest, strict=True):
        for name, value in zip(names, row, strict=True):
            shown = {True: "true", False: "false", None: ""}.get(value, str(value))
            if isinstance(value, float) and not isinstance(value, bool):
                assert float(line[name]) == value
            elif crm.schema[obj].fields[name].type == "datetime":
                assert line[name] == shown.replace("+0000", "Z")
            elif isinstance(value, int) and not isinstance(value, bool):
                assert line[name] == str(value)
            else:
                assert line[name] == shown


def test_long_fractions(org: Org) -> None:
    """A number with more digits than CSV prints is the same in both."""
    make(org, "Account", Name="a", BillingLatitude=50.123456789012345, AnnualRevenue=1234567890123456.0)
    soql = "SELECT BillingLatitude, AnnualRevenue FROM Account"
    (line,) = csv.DictReader(io.StringIO(text_of(org, soql)))
    (row,) = org.query(org.sync_user, soql).rows()
    assert [float(value) for value in line.values()] == list(row)


def test_chunks(crm: Org) -> None:
    """Chunks have the asked number of rows and join to the whole."""
    soql = "SELECT Id, LastName FROM Contact ORDER BY Id"
    result = crm.query(crm.sync_user, soql, bulk=True)
    chunks = list(result.csv_chunks(90))
    assert [count for count, _ in chunks] == [90, 90, 20]
    whole = result.csv_header() + b"".join(data for _, data in chunks)
    assert whole.decode() == text_of(crm, soql)


def test_no_rows(org: Org) -> None:
    """Without rows there is the header alone."""
    assert text_of(org, "SELECT Id FROM Contact") == '"Id"\n'


def test_wide_selects(crm: Org) -> None:
    """More columns than one SQLite function takes arguments still make one line."""
    names = [f.name for f in crm.schema["Contact"].fields.values() if f.type != "address"]
    names += [f"Account.{f.name}" for f in crm.schema["Account"].fields.values() if f.type != "address"]
    assert len(names) > 100
    rows = csv.reader(io.StringIO(text_of(crm, f"SELECT {', '.join(names)} FROM Contact"), newline=""))
    assert {len(row) for row in rows} == {len(names)}


def test_in_a_thread_while_writing(org: Org) -> None:
    """CSV may be read in a thread and keeps to its snapshot while the org changes."""
    ids = [r.unwrap() for r in org.create(org.sync_user, "Campaign", [{"Name": f"c{n}"} for n in range(200)])]
    chunks = org.query(org.sync_user, "SELECT Id FROM Campaign", bulk=True).csv_chunks(50)
    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(next, chunks).result()[0]
        org.delete(org.sync_user, "Campaign", ids)
        seen += sum(count for count, _ in pool.submit(list, chunks).result())
    assert seen == 200
    assert org.count("Campaign") == 0
