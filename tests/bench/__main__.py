"""`python -m tests.bench`: measures beside what it is compared with, in one run, and prints the ratios.

Rounds alternate between the candidates, and medians count, so that other work on the machine disturbs
all of them alike. The last line is the JSON of everything above it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys

from tests.bench import (
    audit,
    burst,
    channels,
    during_load,
    events,
    feed,
    full_pushes,
    idle,
    memory,
    nodes,
    overload,
    postgres,
    proof,
    pushes,
    reader,
    rules,
    screen,
    sizes,
)

BENCHMARKS = {
    "audit": audit.run,
    "pushes": pushes.run,
    "full": full_pushes.run,
    "burst": burst.run,
    "channels": channels.run,
    "events": events.run,
    "loading": during_load.run,
    "overload": overload.run,
    "feed": feed.run,
    "idle": idle.run,
    "reader": reader.run,
    "rules": rules.run,
    "memory": memory.run,
    "proof": proof.run,
    "screen": screen.run,
    "sizes": sizes.run,
    "postgres": postgres.run,
    "nodes": nodes.run,
}


def main() -> None:
    """Run the benchmarks that are asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default all")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the audit (default 100,000)")
    parser.add_argument("--many", type=int, default=1_000_000, help="rows of the large audit (default 1M)")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite", help="that of the sizes")
    parser.add_argument("--pushes", type=int, default=6_000, help="pushes in a round (default 6,000)")
    parser.add_argument("--records", type=int, default=1_000_000, help="records of the burst (default 1M)")
    parser.add_argument("--events", type=int, default=50_000, help="change events (default 50,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    numbers = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    }
    for name in options.names or BENCHMARKS:
        report = asyncio.run(BENCHMARKS[name](options))
        sys.stdout.write(report.text() + "\n")
        sys.stdout.flush()
        numbers[name] = report.numbers
    sys.stdout.write(f"\n{json.dumps(numbers)}\n")


if __name__ == "__main__":
    main()
