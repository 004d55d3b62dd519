"""Calls to Salesforce.

::

    client.py         REST queries, records by id, delete log, limits
    bulk.py           Bulk API 2.0 query jobs, streamed
    bulk_polls.py     pauses between polls of a job, and its cost
    counting.py       row counts, also of objects too large for one query
    objects.py        describes -> core.schema
    package.py        the package's rows in the org: settings, synced fields, error log
    deploy.py         metadata deployments
    responses.py      the results of REST calls
    shapes.py         the shape of every answer, checked before anything uses it
    rest.py           requests and streams over a connection pool
    exchange.py       the lifecycle of a call: ledger, login, retries, response headers
    error_mapping.py  error responses -> rtsd's errors and the next step, as a table
    retry.py          retries with jitter and an hourly budget, the limit on concurrent calls
    ledger.py         the interface to the ledger, which records calls before they are sent
    session.py        the shared access token: single flight, back-off, rotation
    login.py          the four OAuth flows
    credentials.py    the configured credentials
    transport.py      TLS, proxies, and the `requests` session for simple-salesforce
    csvstream.py      bytes -> whole records, as text for SQLite or as rows
    soql.py           every SOQL statement

Imports only `core` and `errors` from rtsd.
"""
