"""The composition root: the daemon is built here, runs, and is reloaded.

::

    run       serves a configuration until it is stopped
    compose   builds every part, once, in an order that needs no circle
    parts     what a daemon consists of; what runs is `Services`
    reload    reloads what can change meanwhile
    control, gateway, rules   from a table of the configuration to the parts that serve it
    watchdog  reports to systemd that the daemon is alive
"""
