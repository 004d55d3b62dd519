"""What changes and the daemon's own events trigger: matched in the transaction, delivered at least once.

::

    rule       what the configuration says, as values
    match      which rules a change fires; puts their deliveries into the outbox
    alerts     which conditions of the daemon began or ended
    deliver    the loop that works the outbox off        circuit    when a destination is left alone
    webhook    one try by HTTP                           command    one try by a program
    dry_run    what would have fired, by the journal
"""
