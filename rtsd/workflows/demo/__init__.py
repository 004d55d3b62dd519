"""The demo: a simulated org, the daemon and the dashboard in a directory of their own.

::

    environment.py   the directory, its configuration, and the processes, which end with it
    scenario.py      the sequence of events, with the dashboard or without it
    story.py         the lines in the dashboard, step by step
    activity.py      what people do in the org, and how pushes are lost
    proof.py         the comparison at the end, as JSON and as text
    feed.py          the statistics of the daemon's feed: changes, latencies, modes
    compare.py       a comparison of the org with the SQLite mirror, field by field
    postgres.py      the same with a mirror in PostgreSQL
"""
