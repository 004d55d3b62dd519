"""The picture of the packages in docs/architecture.md is drawn from the imports.

`python -m tests.unit.docs.test_packages` writes it again.
"""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp

from tests.support.diagrams import diagram, draw, drawn, out_of_date

KIND = "flowchart TD"
LEFT_OUT = {
    "rtsd": "holds the version, which says nothing about the structure",
    "rtsd.__main__": "calls the command line",
}
"""Modules that are not in the picture, and why."""


def imports() -> dict[str, set[str]]:
    """What each package imports. Packages next to each other in rtsd count apart, rtssim and rtstui whole."""
    graph = grimp.build_graph("rtsd", "rtssim", "rtstui", exclude_type_checking_imports=True, cache_dir=None)
    for package in sorted({*graph.find_children("rtsd"), "rtssim", "rtstui"}):
        graph.squash_module(package)
    return {
        package: graph.find_modules_directly_imported_by(package) - LEFT_OUT.keys() - {package}
        for package in sorted(graph.modules - LEFT_OUT.keys())
    }


def from_the_top(found: dict[str, set[str]]) -> list[str]:
    """The packages, each before those it imports. Raises CycleError where imports go round in a circle."""
    ordered = {package: sorted(imported) for package, imported in found.items()}
    return list(TopologicalSorter(ordered).static_order())[::-1]


def reduced(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Only the imports that no chain of others implies: the picture would be a tangle with all of them."""
    below: dict[str, set[str]] = {}
    for package in reversed(from_the_top(found)):
        below[package] = found[package].union(*(below[imported] for imported in found[package]))
    return {
        package: imported - set().union(*(below[other] for other in imported))
        for package, imported in found.items()
    }


def picture() -> str:
    """The packages from the top down; an arrow leads to what is imported."""
    found = imports()
    arrows = reduced(found)
    return diagram(
        KIND,
        [
            f"{package.removeprefix('rtsd.')} --> {imported.removeprefix('rtsd.')}"
            for package in from_the_top(found)
            for imported in sorted(arrows[package])
        ],
    )


def test_the_picture_is_the_imports() -> None:
    """A package that is added, or imports another one, changes the document."""
    assert drawn(KIND) == [picture()], out_of_date(__file__)


def test_implied_imports_have_no_arrow() -> None:
    """An import stays out of the picture where a chain leads to the same package, and only there."""
    found = {"top": {"middle", "leaf", "side"}, "middle": {"leaf"}, "side": set[str](), "leaf": set[str]()}
    assert reduced(found) == {"top": {"middle", "side"}, "middle": {"leaf"}, "side": set(), "leaf": set()}


if __name__ == "__main__":
    draw(KIND, [picture()])
