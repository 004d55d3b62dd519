"""The operations that have rtsd do something: audits, repairs, pauses, the package, backup, reload."""

from __future__ import annotations

import msgspec

from rtsd.control import protocol
from rtsd.control.openapi.operation import JSON, ORG, Content, Operation, switch
from rtsd.control.openapi.reading import AT, CONTACT
from rtsd.control.openapi.records import ASK_ORG
from rtsd.errors import ConfigError, Conflict, NotFound

PRICED = protocol.Priced(
    estimate=protocol.Estimate(
        rows=1_000_000,
        api_calls=7,
        api_calls_with_repairs=57,
        bulk_jobs=1,
        mb=412.5,
        minutes=3.1,
        share_of_daily={"DailyApiRequests": 0.4},
    ),
    problems=[protocol.Problem(what="Contact has no stamps", do="audit it with --full")],
)
DETAILS = protocol.PackageDetails(
    state="installed",
    version="1.0.0",
    disabled=False,
    last_seen_at=AT,
    expected_version="1.0.0",
    triggers=[protocol.PackageTrigger(object="Contact", installed=True)],
    settings=protocol.PackageSettings(
        as_of=AT, disabled=False, error_logging=True, gateway_url="https://rts.example.com"
    ),
)
CHANGED = msgspec.structs.replace(DETAILS, changed=True)

COMMANDS = (
    Operation(
        "POST",
        "/v1/objects/{object}/audit",
        "audit",
        "Compare an object with the org and repair it, or price that.",
        {
            200: [
                protocol.AuditResult(
                    objects=[
                        protocol.AuditedObject(
                            name="Contact",
                            checked=1_000_000,
                            stale=[CONTACT],
                            stale_count=1,
                            repaired=1,
                            api_calls=7,
                            seconds=3.1,
                        )
                    ],
                    api_calls=7,
                ),
                PRICED,
            ],
            202: [protocol.AuditStarted(run=17)],
        },
        body=protocol.AuditBody(full=False, dry_run=False),
        parameters=(switch("wait", "Whether to answer when the audit is done, not at once."), ASK_ORG),
        errors=(NotFound, Conflict, *ORG),
        text="It answers 202 at once; with `wait=1` when it is done; with `dry_run` the price.",
    ),
    Operation(
        "POST",
        "/v1/objects/{object}/repair",
        "repair",
        "Fetch records again: by id, by a stretch of time, or some fields of all; or price that.",
        {200: [protocol.Repaired(fetched=1, repaired=1, api_calls=1), PRICED]},
        body=protocol.RepairBody(ids=[CONTACT]),
        errors=(NotFound, Conflict, *ORG),
        text="Of `ids`, `since` and `fields` exactly one is given.",
    ),
    Operation(
        "POST",
        "/v1/verify",
        "verify",
        "Verify the whole mirror: its file, its counts, its checksums, its fingerprints; or price that.",
        {
            200: [
                protocol.Verification(
                    ok=True,
                    at=AT,
                    org="00D000000000001EAA",
                    objects=[
                        protocol.VerifiedObject(
                            name="Contact",
                            state="live",
                            rows=1_000_000,
                            counted=1_000_000,
                            checksummed=1_000_000,
                            drift=protocol.DriftCounts(),
                            as_of=AT,
                            proven_at=AT,
                        )
                    ],
                ),
                PRICED,
            ]
        },
        body=protocol.VerifyBody(certificate=False, dry_run=False),
        errors=(Conflict, *ORG),
    ),
    Operation(
        "POST",
        "/v1/pause",
        "pause",
        "Stop the sync, or the reading of some objects; pushes wait in the inbox until it is resumed.",
        {200: [protocol.Paused(paused=["Contact"])]},
        body=protocol.ObjectsBody(objects=["Contact"]),
        errors=(NotFound,),
    ),
    Operation(
        "POST",
        "/v1/resume",
        "resume",
        "End a pause of the sync, or of some objects.",
        {200: [protocol.Resumed(resumed=["Contact"])]},
        body=protocol.ObjectsBody(objects=["Contact"]),
        errors=(NotFound, *ORG),
    ),
    Operation(
        "GET",
        "/v1/package",
        "package",
        "All that is known about the Salesforce package.",
        {200: [DETAILS]},
        parameters=(
            switch("probe", "Whether to ask the org first, for three calls."),
            switch("look", "The former name of `probe`.", deprecated=True),
        ),
        errors=ORG,
    ),
    Operation(
        "POST",
        "/v1/package/changed",
        "package_changed",
        "Report API calls that another program spent, and have rtsd probe the package that it changed.",
        {200: [DETAILS]},
        body=protocol.PackageChangedBody(calls={"DailyApiRequests": 12}),
        errors=ORG,
    ),
    Operation(
        "POST",
        "/v1/package/disable",
        "package_disable",
        "Switch the package off, for the whole org.",
        {200: [CHANGED]},
        errors=(Conflict, *ORG),
    ),
    Operation(
        "POST",
        "/v1/package/enable",
        "package_enable",
        "Switch the package on.",
        {200: [CHANGED]},
        errors=(Conflict, *ORG),
    ),
    Operation(
        "POST",
        "/v1/assistant",
        "assistant",
        "Journal that an assistant uses a tool.",
        {200: [Content(JSON, "An empty object.", example="{}")]},
        body=protocol.AssistantBody(tool="record", object="Contact", id=CONTACT),
    ),
    Operation(
        "POST",
        "/v1/reload",
        "reload",
        "Read the configuration again, as on SIGHUP.",
        {200: [protocol.Reloaded(needs_restart=["store"], token_ids=["0f3a9c1d"])]},
        errors=(ConfigError,),
    ),
    Operation(
        "GET",
        "/v1/backup",
        "backup_progress",
        "The progress of the backup under way.",
        {200: [protocol.BackupProgress(running=True, copied=1_200, pages=48_000)]},
    ),
    Operation(
        "POST",
        "/v1/backup",
        "backup",
        "Make a copy of the mirror as of now, and send it.",
        {
            200: [
                Content(
                    "application/vnd.sqlite3",
                    "The copy, a SQLite file.",
                    headers={
                        "Repr-Digest": "The copy's SHA-256, as in RFC 9530.",
                        "Rtsd-Taken-At": "The moment that it shows, in UTC.",
                        "Content-Length": "Its size in bytes.",
                    },
                )
            ]
        },
        errors=(Conflict,),
    ),
)
