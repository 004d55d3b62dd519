"""Pages that are made from the code: verbs, errors, metrics."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from rtsd import errors
from rtsd.cli.app import SECTIONS, rtsd
from rtsd.control.metrics import families
from rtsd.control.openapi.reading import RULES, STATUS
from rtsd.control.store_meters import StoreMeters
from rtsd.gateway.meters import Meters
from rtsd.store.sqlite import files
from rtsd.store.sqlite.engine import SqliteEngine

MADE = "This page is made from the code of this version.\n"


def verbs() -> str:
    """Return the page of the verbs: the help of each, with those below it."""
    found = ["# Verbs\n", MADE, "`rtsd --help` lists the verbs; `rtsd VERB --help` prints what is here.\n"]
    for title, section in SECTIONS.items():
        found.append(f"## {title}\n")
        for verb in section:
            for context in contexts("rtsd", rtsd, verb):
                found.append(f"{'#' * (context.command_path.count(' ') + 2)} `{context.command_path}`\n")
                found.append(f"```text\n{context.get_help()}\n```\n")
    return "\n".join(found)


def contexts(name: str, program: click.Group, verb: str) -> Iterator[click.Context]:
    """Yield a verb of the program `name`, and those below it, each with its path. Raises LookupError."""
    outer = click.Context(program, info_name=name)
    command = program.get_command(outer, verb)
    if command is None:
        raise LookupError(verb)
    context = click.Context(command, info_name=verb, parent=outer, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for below_name, below in command.commands.items():
            yield click.Context(below, info_name=below_name, parent=context, **below.context_settings)


def error_names() -> str:
    """Return the page of the errors: their meaning, and their statuses."""
    classes: list[type[errors.RtsError]] = [
        kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.RtsError)
    ]
    rows = "\n".join(
        f"| `{kind.__name__}` | {_first(kind.__doc__)} | {kind.http_status} | {kind.exit_status} |"
        for kind in sorted(classes, key=lambda kind: kind.__name__)
    )
    said = "[Troubleshooting by error name](../operations.md#troubleshooting-by-error-name) has what to do."
    head = "| error | meaning | HTTP status | exit status |\n|---|---|---|---|"
    return f"# Errors\n\n{MADE}\n{said}\n\n{head}\n{rows}\n"


def _first(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def metrics() -> str:
    """Return the page of the metrics, as `GET /metrics` has them."""
    registry = CollectorRegistry()
    meters = Meters(registry)
    for counted in (meters.pushes, meters.dropped):
        counted.labels("…")  # else its label is not known
    with tempfile.TemporaryDirectory() as place:
        engine = SqliteEngine(Path(place) / "mirror.db")
        for path in (engine.path, files.inbox_path(engine.path)):
            for file in (path, files.wal_path(path)):
                file.touch()
        sizes = list(engine.sizes())
    StoreMeters(registry, engine, lambda: True)
    counters = {"change": 1, "change.push": 1, "outcome.applied": 1}
    found = [*registry.collect(), *families(STATUS, RULES, sizes, counters)]
    rows = "\n".join(sorted(map(_metric, found)))
    said = "[Monitoring](../operations.md#monitoring) says where they are, and has alerts and a dashboard."
    return f"# Metrics\n\n{MADE}\n{said}\n\n{rows}\n"


def _metric(metric: Metric) -> str:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = sorted({label for sample in metric.samples for label in sample.labels} - {"le"})
    shown = f" by {', '.join(f'`{label}`' for label in labels)}" if labels else ""
    return f"- `{name}` ({metric.type}{shown}): {metric.documentation}"


def pages() -> dict[str, str]:
    """Return the pages by their place."""
    made: Iterable[tuple[str, str]] = (
        ("verbs", verbs()),
        ("errors", error_names()),
        ("metrics", metrics()),
    )
    return {f"reference/{name}.md": text for name, text in made}
