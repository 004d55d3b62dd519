"""rtsd keeps a local mirror of Salesforce seconds fresh and can prove it right.

The packages, outermost first; imports point down only (checked by import-linter)::

    cli, __main__        one file per verb
    workflows            verbs that take more than one request to the daemon: check, demo, installation
    daemon               composition root
    config systemd logs  configuration, service manager, log lines
    machine              the machine's clocks and randomness
    gateway, control     inbound: pushes from Salesforce · requests from operators
    stream               events from Salesforce's bus, to which rtsd subscribes
    rules                the rules that a change fires, and their deliveries
    sync                 apply, Interval Sync, audits, mode
    salesforce, store    outbound: calls to Salesforce · the SQLite file, the only SQL
    apex                 the Salesforce package: its source, and the archives built from it
    services             the services that run, and their runner
    core                 the rules of the domain, pure
    errors               whose fault it is and what to do
"""

__version__ = "0.1.0"
