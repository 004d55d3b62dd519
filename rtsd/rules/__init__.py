"""Rules fired by changes and alerts about the daemon: matched in the transaction, delivered at least once.

::

    engine     all rules and alerts, replaced on SIGHUP
    rule       the configured rules, alerts and actions, as values
    match      the rules that a change fires, whose deliveries go into the outbox
    alerts     the daemon's conditions that began or ended
    deliver    the loop that delivers the outbox          circuit    circuit breakers and retry schedule
    webhook    an attempt by HTTP                         command    an attempt by running a program
    dry_run    the changes in the journal that would have fired a rule
"""
