"""The demo: a simulated org, the daemon and the dashboard in a directory of their own.

::

    stage.py     the directory, its configuration, and the processes; all of them end with the stage
    story.py     what happens on it: load, people at work, imports, a silent spell, and the reckoning
    stray.py     a push that cannot be used: something for the dashboard's dead letters
    watch.py     what the daemon's feed told meanwhile: changes, their latency, the modes
    compare.py   the org's truth against the SQLite mirror, field by field
"""
