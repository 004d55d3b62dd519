"""Installation of the Salesforce package: the work of `rtsd package`.

::

    plan.py          the target state, from the configuration and the org's facts
    inventory.py     the current state of the org
    differences.py   the differences between both, and whether they require a deployment
    deploying.py     resolve the differences: check, deploy, settings, conditions, jobs
    removing.py      remove the package, in the order that Salesforce requires
    exporting.py     the package as files, for deployment and removal with another tool
    reports.py       the state of the package in an org
    rotation.py      rotation of the push token without rejecting a push
    org_session.py   a connection to the org, whose calls are reported to the daemon

Independent of a running daemon: it calls Salesforce directly, as `rtsd check` does.
"""
