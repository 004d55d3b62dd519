"""The control API described in OpenAPI 3.1: `GET /v1/openapi.json`, and the site's page about the API.

::

    operation  what one route takes and answers     reading, records, commands   every route, by purpose
    schemas    the wire types as JSON Schema         document                     the whole
    route      serves it

An operation names its types by examples of them: each has an example, and none is of another type than the
code's. Tests compare the operations with the routes, and the answers with the document.
"""
