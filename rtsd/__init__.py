"""rtsd keeps a local SQLite mirror of Salesforce seconds fresh and can prove it right.

The map, doors first; imports point down only (import-linter checks it)::

    cli, __main__        one file per verb
    workflows            what a verb does beyond one question to the daemon: check, demo, installation
    daemon               composition root
    config systemd logs  what stands around them
    machine              this machine's clocks and randomness
    gateway, control     doors: Salesforce calls us · operators call us
    rules                what a change triggers
    sync                 engine: apply, Interval Sync, audits, mode
    salesforce, store    adapters: we call Salesforce · the SQLite file, the only SQL
    apex                 the Salesforce package: its source, and the zips made of it
    services             what runs, and the runner
    core                 rules of the domain, pure
    errors               whose fault it is and what to do
"""

__version__ = "0.1.0"
