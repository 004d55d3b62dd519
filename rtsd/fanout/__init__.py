"""Publication of the journal's changes, with values, to NATS JetStream (contract section 9, `[[streams]]`).

::

    changes      changes of the journal, each with the record before and after it
    cloudevent   a change as a CloudEvents document
    jetstream    a connection to NATS; the only module that imports nats-py, which is an extra
    outlet       one stream: its position, and a page of changes published in order per record
    fanout       the service that runs every outlet
"""
