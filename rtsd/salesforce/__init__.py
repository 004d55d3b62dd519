"""What we ask of Salesforce, and what each answer is worth.

::

    client.py        REST: query, retrieve, deleted, limits; what the engine holds
    bulk.py          Bulk API 2.0 query jobs, streamed
    objects.py       describes -> core.schema
    answers.py       what the client's calls return
    connection.py    requests and streams on one pooled connection
    exchange.py      one call, whoever sends it: ledger, gate, login, retry, Observed
    refusals.py      every error Salesforce sends, as a table: which of ours it is, what to do next
    retry.py         retries with jitter, an hourly budget, and the concurrency gate
    ledger.py        calls are written down before they are sent; when an answer was read
    session.py       one access token for everybody: single flight, back-off, rotation
    login.py         the four OAuth flows
    credentials.py   how to log in, as configured
    transport.py     TLS, proxies, and the `requests` session lent to simple-salesforce
    csvstream.py     bytes -> rows, split at whole records
    soql.py          every SOQL statement

Imports nothing of rtsd but `core` and `errors`.
"""
