"""Every kind of call to Salesforce: its route, a right answer, and the call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.salesforce import bulk, counting, deploy, objects, package
from rtsd.salesforce.client import Client
from rtsd.salesforce.deploy import NO_TESTS
from rtsd.salesforce.shapes import DayShape
from rtsd.workflows.installation.inventory import read_parts

V = "/services/data/v66.0"
ORG, USER, ROW, JOB = "00D5g00000Gh1IJEAZ", "0055g00000Gh1IJAAZ", "0015g00000Gh1IJAAZ", "7505g00000Gh1IJAAZ"
STAMP = "2026-03-01T10:00:00.000+0000"
SCHEMA = ObjectSchema("Account", (Field("Id", "id", Kind.TEXT),), "SystemModstamp")


def page(*rows: dict[str, Any]) -> dict[str, Any]:
    """A page of a query."""
    return {"totalSize": len(rows), "done": True, "records": list(rows)}


@dataclass(frozen=True)
class CallKind:
    """A kind of call: the route whose answer is spoilt, a right answer, and the call."""

    route: str
    good: Any
    call: Callable[[Client], Awaitable[object]]


async def _count_days(client: Client) -> None:
    (await client.query("SELECT x", purpose="x")).rows(DayShape)


async def _bulk(client: Client) -> None:
    async with bulk.job(client, "SELECT Id FROM Account", purpose="x") as job:
        async for _ in job.rows():
            pass


FIELD = {"name": "Id", "type": "id", "calculated": False, "filterable": True, "soapType": "tns:ID"}
DESCRIBE = {"name": "Account", "queryable": True, "replicateable": True, "fields": [FIELD]}
DEPLOYED = {
    "id": "0Af5g00000Gh1IJ",
    "deployResult": {
        "done": True,
        "success": "true",
        "numberComponentsDeployed": "3",
        "details": {
            "componentSuccesses": {"problemType": "Warning", "problem": "old", "lineNumber": 1},
            "componentFailures": [],
            "runTestResult": {"codeCoverageWarnings": [{"name": None, "message": "low"}], "failures": None},
        },
    },
}
ERROR_ROW = {
    "Id": ROW,
    "CreatedDate": STAMP,
    "Object__c": "Account",
    "Record_Ids__c": ROW,
    "HTTP_Status__c": 503.0,
    "Message__c": "no",
    "Attempt__c": 1.0,
}
QUERY, JOBS = f"GET {V}/query", f"{V}/jobs/query"
CALLS = {
    "rows": CallKind(
        QUERY,
        page({"Id": ROW, "SystemModstamp": STAMP}),
        lambda client: client.query(
            "SELECT Id", purpose="x", columns=("Id", "SystemModstamp"), stamp="SystemModstamp"
        ),
    ),
    "count": CallKind(QUERY, page(), lambda client: counting.count_rows(client, SCHEMA, purpose="x")),
    "days": CallKind(QUERY, page({"d": "2026-03-01", "n": 3, "m": STAMP}), _count_days),
    "long query": CallKind(
        f"POST {V}/composite",
        {"compositeResponse": [{"httpStatusCode": 200, "body": page({"Id": ROW})}]},
        lambda client: client.query(f"SELECT {'x' * 20_000}", purpose="x"),
    ),
    "records": CallKind(
        f"POST {V}/composite/sobjects/Account",
        [{"Id": ROW, "SystemModstamp": STAMP}],
        lambda client: client.retrieve("Account", [ROW], ["SystemModstamp"], purpose="x"),
    ),
    "delete log": CallKind(
        f"GET {V}/sobjects/Account/deleted/",
        {
            "deletedRecords": [{"id": ROW, "deletedDate": STAMP}],
            "earliestDateAvailable": STAMP,
            "latestDateCovered": STAMP,
        },
        lambda client: client.deleted("Account", 0, 1_772_359_200_000, purpose="x"),
    ),
    "limits": CallKind(
        f"GET {V}/limits/",
        {"DailyApiRequests": {"Max": 5, "Remaining": 4, "App": {"Max": 1, "Remaining": 0}}},
        lambda client: client.limits(purpose="x"),
    ),
    "organization": CallKind(
        QUERY,
        page({"Id": ORG, "Name": "A", "OrganizationType": "Unlimited Edition", "IsSandbox": False}),
        lambda client: client.organization(purpose="x"),
    ),
    "userinfo": CallKind(
        "GET /services/oauth2/userinfo",
        {"user_id": USER, "preferred_username": "a@b.co"},
        lambda client: client.userinfo(purpose="x"),
    ),
    "describe": CallKind(
        f"GET {V}/sobjects/Account/describe", DESCRIBE, lambda client: objects.describe(client, "Account")
    ),
    "describe global": CallKind(
        f"GET {V}/sobjects",
        {"sobjects": [{"name": "Account", "triggerable": True}]},
        objects.list_objects,
    ),
    "job creation": CallKind(f"POST {JOBS}", {"id": JOB, "state": "UploadComplete"}, _bulk),
    "job": CallKind(
        f"GET {JOBS}/{JOB}",
        {"id": JOB, "state": "JobComplete", "createdDate": STAMP, "numberRecordsProcessed": 1},
        _bulk,
    ),
    "failed job": CallKind(
        f"GET {JOBS}/{JOB}", {"id": JOB, "state": "Failed", "errorMessage": "X: because"}, _bulk
    ),
    "result": CallKind(f"GET {JOBS}/{JOB}/results", f'"Id"\n"{ROW}"\n', _bulk),
    "settings": CallKind(
        QUERY,
        page({"Id": ROW, "SetupOwnerId": ORG, "Disable_RTS__c": False, "Token__c": "t"}),
        lambda client: package.read_settings(client, with_token=True),
    ),
    "synced fields": CallKind(
        QUERY,
        page({"Id": ROW, "Object__c": "Account", "Field__c": "Name", "Condition__c": True}),
        lambda client: package.read_synced_fields(client, ["Account"]),
    ),
    "synced fields written": CallKind(
        f"PATCH {V}/composite/sobjects/RTS_Synced_Field__c/Key__c",
        [{"success": False, "errors": [{"statusCode": "X", "message": "no"}]}],
        lambda client: package.write_synced_fields(
            client, [package.SyncedField("Account", "Name", condition=True)]
        ),
    ),
    "package errors": CallKind(QUERY, page(ERROR_ROW), lambda client: package.read_errors(client, 0)),
    "package errors deleted": CallKind(
        f"DELETE {V}/composite/sobjects",
        [{"success": False, "errors": []}],
        lambda client: package.delete_errors(client, 0),
    ),
    "triggers": CallKind(
        f"GET {V}/tooling/query",
        page({"Name": "RTS_Account", "TableEnumOrId": "Account", "Body": "trigger X on Account ("}),
        package.read_triggers,
    ),
    "inventory": CallKind(
        f"GET {V}/(tooling/)?query",
        page(
            {
                "Id": ROW,
                "Name": "RTS_A",
                "Body": None,
                "Status": "Active",
                "IsActive": True,
                "EndpointUrl": "https://x",
                "AssigneeId": USER,
                "State": "WAITING",
                "CronJobDetail": {"Name": "RTS Heartbeat 00"},
                "Object__c": "A",
                "Field__c": "B",
            }
        ),
        lambda client: read_parts(client, (), ("Account",)),
    ),
    "deployment": CallKind(
        f"POST {V}/metadata/deployRequest",
        DEPLOYED,
        lambda client: deploy.deploy(
            client, b"zip", NO_TESTS, check_only=False, purge=False, on_progress=lambda _progress: None
        ),
    ),
    "deployment's progress": CallKind(
        f"GET {V}/metadata/deployRequest/0Af1",
        DEPLOYED,
        lambda client: deploy.deploy_validated(client, "0Af2", lambda _progress: None),
    ),
    "anonymous Apex": CallKind(
        f"GET {V}/tooling/executeAnonymous/",
        {"success": False, "line": 1, "column": 1, "compileProblem": "x"},
        lambda client: deploy.run_anonymous(client, "x"),
    ),
    "settings written": CallKind(
        f"POST {V}/sobjects/RTS_Settings__c",
        {"id": ROW, "success": True},
        lambda client: package.write_settings(client, ORG, {}, None),
    ),
}
OTHERS = {
    f"POST {V}/metadata/deployRequest": {"id": "0Af1"},
    f"POST {JOBS}": {"id": JOB, "state": "UploadComplete"},
    f"GET {JOBS}/{JOB}": {"id": JOB, "state": "JobComplete", "numberRecordsProcessed": 1},
    QUERY: page({"Id": ROW}),
}
"""Right answers to what else these calls ask."""
