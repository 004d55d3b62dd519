"""The control socket: the HTTP API for operators and rtstui, and its client.

::

    protocol   the wire types          client     the other end of the socket
    server     the socket itself       access     who may connect, and the form of refusals
    views      the status              stream     the journal as a feed, fanned out by `feed`
    openapi    the API's description
    the other modules answer a group of routes each; `wire` and `documents` serve several of them
"""
