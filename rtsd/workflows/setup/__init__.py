"""The first configuration, for `rtsd init`: answers, tried by the checks of `rtsd check`, and the files.

::

    answers   what is asked, as a document and as rtsd.toml    places    where files and state go
    trials    each answer tried, calls counted                 writing   the files, whole or not at all
"""
