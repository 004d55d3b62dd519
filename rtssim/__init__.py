"""rtssim is a simulated Salesforce org on real HTTP, for tests and the demo; it shares no code with rtsd.

The map, from outside in; imports point down only (import-linter checks it)::

    process               starts an org: in this process, or as a process of its own
    server                HTTP server: sessions, quota, headers, compression, network faults
    switchboard           /_sim, which Salesforce lacks: controls the org in tests and in the demo
        routes                faults, switches, clock, limits, data, rules, package
        administration        schema changes, untriggered edits, another org id
        activity              simulated users
    login                 outside /services/data
        oauth, soap           token, revoke, userinfo, identity · SOAP login()
        accounts              users, sessions, refresh tokens, grants
    rest                  /services/data/vNN.0
        sobjects              describe, single records, updated and deleted records
        query                 /query, /queryAll and their locators
        composite             collections, composite, batch
        bulk_jobs             Bulk API 2.0 query jobs
        tooling               queries and creation of Apex; anonymous_apex runs it
    metadata              /metadata/deployRequest
        deployments           states of a deployment, tests, coverage
        deployer              checks and applies the components
        archive, sources      the zip and its files
        elements, references  wrong elements and values of a file · missing components that it names
        coverage              what the tests of a deployment reach
    apex_package          the RTS package once installed
        pushes                trigger, sender, retry, heartbeat
        payloads, callouts    content of a push · signed POSTs
        publication           pushes as platform events
        settings              the package's configuration in the org
        installation          direct installation and removal
    pubsub                the Pub/Sub API on gRPC: topics, schemas, subscriptions
    bus                   the event bus
        event_bus             events, replay ids, retention
        channels              topics, objects selected for Change Data Capture
        change_events         change events of commits
        event_schema, bitmaps Avro schemas and values · fields listed in a header
    faults                injected faults
    limits                daily limits (quotas), /limits
    routing               calls, replies, and the router between them
    org                   the org itself: describe, query, DML, replication, transactions
    records               rows
        dml, merge, rows      create, update, upsert, delete, undelete · merge, lead conversion · single rows
        transactions          commits, some of them late
        org_rules             validation rules and others of the org's own
        replication           /updated, /deleted and the delete log
        untriggered           mass edits that fire no Apex trigger
        schema_changes        objects and fields added, removed, retyped
        field_values          conversion between JSON and stored values
    sample_data           generated rows
    soql                  parser, planner, query results
    schema                objects, fields, describe documents
    database              the org's SQLite file
    interface             principals, errors, save results, commits
    switches              behaviour that Salesforce leaves undocumented
    clock, ids            the org's clock and time formats · record ids
"""
