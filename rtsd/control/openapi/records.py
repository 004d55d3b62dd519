"""The operations about records and objects: schema, search, one record, SQL, conditions, dead letters."""

from __future__ import annotations

import msgspec

from rtsd.control import protocol
from rtsd.control.openapi.operation import ORG, Operation, moment, switch, text
from rtsd.control.openapi.reading import AT, CHANGE, CONTACT
from rtsd.errors import Conflict, NotFound

VALUES = {"Id": CONTACT, "LastName": "Silva", "Email": "ana.silva@acme.com"}
LIVE = protocol.MirrorRecord(state="live", values=VALUES, seen_at=AT, source="push")
VERSION = protocol.Version(
    seq=4711,
    at=AT,
    op="update",
    source="push",
    changed={"Email": protocol.FieldChange(before="ana@acme.com", after="ana.silva@acme.com")},
)
CONDITIONS = protocol.Conditions(
    object="Contact", fields=["Email"], in_org=["Email"], as_of=AT, available=["Email", "LastName"]
)
LETTER = protocol.DeadLetter(
    id=7,
    at=AT,
    reason="UnknownObject",
    message="Spaceship__c is not mirrored",
    object="Spaceship__c",
    record="a00000000000001AAA",
)
PATH = "/v1/objects/{object}/records/{id}"
ASK_ORG = switch("org", "Whether to ask the org, which costs API calls.", default=True)

RECORDS = (
    Operation(
        "GET",
        "/v1/schema",
        "schema",
        "The mirrored objects with their tables and fields.",
        {
            200: [
                protocol.MirroredFields(
                    objects=[
                        protocol.ObjectFields(
                            object="Contact",
                            table='"Contact"',
                            fields=[protocol.MirroredField(name="Email", type="email")],
                        )
                    ]
                )
            ]
        },
    ),
    Operation(
        "GET",
        "/v1/find",
        "find",
        "Records by id, or by a part of a name, an address or a phone number; the org is not asked.",
        {
            200: [
                protocol.Found(
                    records=[
                        protocol.FoundRecord(
                            object="Contact",
                            id=CONTACT,
                            field="Email",
                            value="ana.silva@acme.com",
                            name="Ana Silva",
                        )
                    ],
                    truncated=False,
                )
            ]
        },
        parameters=(text("text", "At least 3 characters.", "silva", required=True),),
    ),
    Operation(
        "GET",
        PATH,
        "record",
        "One record as the mirror has it; a deleted one with its last values.",
        {
            200: [
                protocol.Record(
                    object="Contact", id=CONTACT, state="live", values=VALUES, seen_at=AT, source="push"
                )
            ]
        },
        errors=(NotFound,),
    ),
    Operation(
        "GET",
        f"{PATH}/history",
        "history",
        "A record's versions, oldest first; with `at`, the record as it was then.",
        {
            200: [
                protocol.History(object="Contact", id=CONTACT, now=LIVE, versions=[VERSION]),
                protocol.PastRecord(object="Contact", id=CONTACT, at=AT, values=VALUES, source="push"),
            ]
        },
        parameters=(moment("at", "When the record is wanted as of."),),
        errors=(NotFound,),
    ),
    Operation(
        "GET",
        f"{PATH}/why",
        "why",
        "Everything that touched a record, and how the org shows it now.",
        {
            200: [
                protocol.Why(
                    object="Contact",
                    id=CONTACT,
                    mirror=LIVE,
                    org=protocol.OrgRecord(visible=True, deleted=False, values=VALUES),
                    equal=True,
                    events=[CHANGE],
                    mirrored=protocol.ObjectFacts(state="live", as_of=AT, proven_at=AT),
                )
            ]
        },
        parameters=(ASK_ORG,),
        errors=(NotFound, Conflict, *ORG),
    ),
    Operation(
        "POST",
        "/v1/query",
        "query",
        "A read-only SELECT on the mirror.",
        {200: [protocol.QueryResult(columns=["Id", "LastName"], rows=[[CONTACT, "Silva"]], truncated=False)]},
        body=protocol.QueryBody(sql="SELECT Id, LastName FROM Contact LIMIT 1"),
        text="With `at` the objects are as they were at that moment. Over 5 s, 16 MiB of result or 48 MiB of"
        " memory it is refused with 400.",
    ),
    Operation(
        "GET",
        "/v1/objects/{object}/export",
        "export",
        "All rows of an object, of one moment: a line that says what comes, pages of rows, and the end.",
        {
            200: [
                protocol.ExportHead(
                    object="Contact",
                    columns=[protocol.ExportedColumn(name="Id", type="text")],
                    at=AT,
                    rows=1_000_000,
                    state="live",
                ),
                protocol.ExportPage(values=[[CONTACT]]),
                protocol.ExportEnd(rows=1_000_000),
            ]
        },
        parameters=(moment("at", "The moment that the rows are of; without it the present."),),
        errors=(NotFound, Conflict),
        text="An answer without the last line is not whole.",
        lines=True,
    ),
    Operation(
        "GET",
        "/v1/objects/{object}/conditions",
        "conditions",
        "The sync conditions of an object: the fields whose change is pushed.",
        {200: [CONDITIONS]},
        parameters=(ASK_ORG,),
        errors=(NotFound, Conflict, *ORG),
    ),
    Operation(
        "PUT",
        "/v1/objects/{object}/conditions",
        "set_conditions",
        "Replace the sync conditions of an object, in the org; no fields means that any change is pushed.",
        {200: [msgspec.structs.replace(CONDITIONS, before=[])]},
        body=protocol.ConditionsBody(fields=["Email"]),
        errors=(NotFound, Conflict, *ORG),
    ),
    Operation(
        "GET",
        "/v1/dead-letters",
        "dead_letters",
        "Pushes that could not be applied and deliveries that nobody accepted, newest first.",
        {200: [protocol.DeadLetters(dead_letters=[LETTER])]},
    ),
    Operation(
        "GET",
        "/v1/dead-letters/{id}",
        "dead_letter",
        "One dead letter with its document.",
        {
            200: [
                protocol.DeadLetterDetails(
                    id=7,
                    at=AT,
                    reason="UnknownObject",
                    message="Spaceship__c is not mirrored",
                    push=msgspec.Raw(b'{"v":1,"kind":"changes","changes":[]}'),
                )
            ]
        },
        errors=(NotFound,),
    ),
    Operation(
        "POST",
        "/v1/dead-letters/{id}/retry",
        "retry",
        "Try a dead letter again; it keeps its number until it has been applied or delivered.",
        {
            200: [
                protocol.Retried(outcome="applied"),
                protocol.Retried(
                    outcome="failed",
                    error="UnknownObject",
                    reason="Spaceship__c is not mirrored",
                    do="Add an [[objects]] section for it to rtsd.toml, restart rtsd, and retry; or drop it.",
                ),
            ]
        },
        parameters=(switch("wait", "Whether to answer when the outcome is known, within two seconds."),),
        errors=(NotFound, Conflict),
    ),
    Operation(
        "POST",
        "/v1/dead-letters/{id}/drop",
        "drop",
        "Delete a dead letter.",
        {200: [protocol.Dropped()]},
        errors=(NotFound, Conflict),
    ),
)
