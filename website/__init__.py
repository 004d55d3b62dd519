"""The documentation as a site: its pages, pictures and reference.

::

    stage      the pages: those of docs/ and from the code     pictures   the drawings, docs/pictures/*.svg
    markdown   what GitHub reads and the builder does not      svg        boxes and arrows
    reference  pages from the code: verbs, errors, metrics     api        a page from the OpenAPI document
    man        the manual pages, from the same commands

`make site` builds it into ./site. The pages are staged, so that any builder of Markdown can take them.
"""
