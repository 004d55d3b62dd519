"""The load generator, a process of its own: fires signed one-change pushes, prints what it measured.

Everything is signed before the clock starts. Reads one JSON document from stdin, writes one to stdout.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.support.processes.sender import Shot, firing, signed


def shots(order: dict[str, Any]) -> list[Shot]:
    """Sign `count` pushes, from number `first` on: each changes one record, none repeats another."""
    made = []
    for number in range(order["first"], order["first"] + order["count"]):
        row = order["rows"][number % len(order["rows"])]
        read_at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(order["base"] + number // 1000))
        fields = {**row, "SystemModstamp": order["stamp"], "Title": f"No {number}"}
        change = {
            "object": order["object"],
            "op": "update",
            "id": row["Id"],
            "modstamp": order["stamp"],
            "changed": ["Title"],
            "fields": fields,
        }
        head = {"v": 1, "kind": "changes", "org": order["org"], "read_at": f"{read_at}.{number % 1000:03d}Z"}
        made.append(
            signed(order["token"], f"bench-{number}", msgspec.json.encode({**head, "changes": [change]}))
        )
    return made


async def fire(order: dict[str, Any]) -> dict[str, Any]:
    """Fire them all, and return how long it took, the answers, and the latencies' percentiles."""
    begun: dict[str, float] = {}
    latencies: list[float] = []
    answers: Counter[int] = Counter()

    def timed() -> Iterator[Shot]:
        for shot in made:
            begun[shot.id] = time.perf_counter()
            yield shot

    def note(shot: Shot, status: int) -> None:
        latencies.append(time.perf_counter() - begun[shot.id])
        answers[status] += 1

    made = shots(order)
    cpu, start = time.process_time(), time.perf_counter()
    async with firing(order["port"], timed(), note, order["connections"]) as over:
        await over
    seconds = time.perf_counter() - start
    latencies.sort()
    return {
        "seconds": seconds,
        "cpu": time.process_time() - cpu,
        "answers": dict(answers),
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1e3,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(fire(json.load(sys.stdin)))))
