"""The Salesforce package on its way into an org and out of it: what `rtsd package` does.

::

    plan.py          what should be in the org, out of the configuration and the org's own facts
    inventory.py     what is there
    differences.py   how the two differ, and whether that takes a deployment
    deploying.py     make them equal: check, deploy, settings, conditions, jobs
    removing.py      take everything out again, in the order in which Salesforce lets it go
    switching.py     Disable RTS, off and on
    exporting.py     the package as files, for another tool
    reports.py       how an org stands
    rotation.py      another token, without a moment in which a push is refused
    visit.py         a connection to the org, and the running daemon told of what it cost

Works with or without a running daemon: it talks to Salesforce itself, as `rtsd check` does.
"""
