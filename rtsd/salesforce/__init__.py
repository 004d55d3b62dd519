"""What we ask of Salesforce, and what each answer is worth.

::

    credentials.py   how to log in, as configured
    login.py         the four OAuth flows
    session.py       one access token for everybody: single flight, back-off, rotation
    transport.py     TLS, proxies, and the `requests` session lent to simple-salesforce
    refusals.py      every error Salesforce sends, as a table: which of ours it is, what to do next
    ledger.py        calls are announced before they are sent; when an answer was read
    retry.py         retries with jitter, an hourly budget, and the concurrency gate
    client.py        REST: query, retrieve, deleted, limits
    answers.py       what the client's calls return
    objects.py       describes -> core.schema
    bulk.py          Bulk API 2.0 query jobs, streamed
    csvstream.py     bytes -> rows, split at whole records
    soql.py          quoting, SELECT lists, keyset conditions

Imports nothing of rtsd but `core` and `errors`.
"""
