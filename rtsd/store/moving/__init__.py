"""Moves of a whole mirror from one engine to the other, proven equal before it counts as a mirror.

::

    sides       what an engine offers: a `Source` to read, a `Target` to fill
    content     what is moved, and in which order it is read
    columns     an object's columns, as both engines have them
    checksums   row checksums, whose blocks each engine names by its own keys
    proof       the comparison of both sides, row by row
    mover       the move itself
"""
