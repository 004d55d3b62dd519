"""The rtsd command line: one file per verb, each thin.

::

    app       the group of verbs; the only place where an error becomes lines and an exit status
    options   options that several verbs share        ask      a request to a running daemon
    output    tables, colours, times, clean text      estimate prices as text
    <verb>    the command of that name
"""

from rtsd.cli.app import main

__all__ = ["main"]
