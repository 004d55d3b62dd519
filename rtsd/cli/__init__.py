"""The rtsd command line: one file per verb, each thin.

::

    app       the group, and the one place where an error becomes lines and an exit status
    options   options that several verbs share        ask      one question to a running daemon
    output    tables, colours, times, clean text      <verb>   the command of that name
"""

from rtsd.cli.app import main

__all__ = ["main"]
