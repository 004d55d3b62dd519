"""The composition root, which builds, runs and reloads the daemon.

::

    run       runs the daemon until it is stopped
    compose   builds every part, once, in dependency order
    parts     the parts of a daemon; `Services` lists those that run
    reload    reloads the settings that can change without a restart
    control, gateway, rules, sync   build the parts that a table of the configuration describes
    watchdog  reports the daemon's state to systemd
"""
