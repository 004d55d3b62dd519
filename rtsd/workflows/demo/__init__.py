"""The demo: a simulated org, the daemon and the dashboard in a directory of their own.

::

    environment.py   the directory, its configuration, and the processes, which end with it
    scenario.py      the sequence of events: load, edits, imports, lost pushes, and the comparison
    feed.py          the statistics of the daemon's feed: changes, latencies, modes
    compare.py       a comparison of the org with the SQLite mirror, field by field
    postgres.py      the same with a mirror in PostgreSQL
"""
