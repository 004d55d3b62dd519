"""config/grafana.json: panels that show what they are about, beside each other, from whatever data source."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.packages import installed

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "config" / "grafana.json"
PROMTOOL = shutil.which("promtool", path="/usr/local/bin:/usr/bin:/opt/homebrew/bin")
COLUMNS = 24

ROUND_TRIP = """
import json, sys
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

plugins.register_default_plugins()
print(JSONEncoder().encode(Dashboard.from_json(json.load(sys.stdin))))
"""
"""The dashboard through Grafana's own types: what they don't know is not in what comes out."""


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def overlap(first: dict[str, int], second: dict[str, int]) -> bool:
    """Whether two panels cover a place both."""
    across = first["x"] < second["x"] + second["w"] and second["x"] < first["x"] + first["w"]
    return across and first["y"] < second["y"] + second["h"] and second["y"] < first["y"] + first["h"]


def test_every_panel_can_be_read() -> None:
    """A title of its own, a unit, a legend, the data source that the reader chose, a place that is free."""
    found = dashboard()
    panels = found["panels"]
    variables = {variable["name"]: variable["type"] for variable in found["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query"}
    for panel in panels:
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"]), panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters), panel["title"]
        place = panel["gridPos"]
        assert place["x"] >= 0 <= place["y"]
        assert place["x"] + place["w"] <= COLUMNS
    for key in ("id", "title"):
        assert len({panel[key] for panel in panels}) == len(panels)
    covered = [
        (first["title"], second["title"])
        for first, second in combinations(panels, 2)
        if overlap(first["gridPos"], second["gridPos"])
    ]
    assert covered == []


@pytest.mark.parametrize(
    "metric",
    [
        *("rtsd_push_channel", "rtsd_stream_connected", "rtsd_node_leads", "rtsd_node_differs"),
        *("rtsd_rule_pending", "rtsd_rule_circuit_open", "rtsd_fanout_lag_seconds", "rtsd_dead_letters"),
        *("rtsd_object_drift_rows", "rtsd_object_freshness_seconds", "rtsd_fresh_goal_seconds"),
    ],
)
def test_it_shows_what_the_alerts_are_about(metric: str) -> None:
    """Channels, nodes, deliveries, drift and freshness: whoever is alerted sees the curve."""
    assert metric in DASHBOARD.read_text()


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not installed; get it with: apt-get install prometheus")
def test_every_expression_parses(tmp_path: Path) -> None:
    """As a rule each, for Prometheus's own parser."""
    expressions = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions)]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = (PROMTOOL or "", "check", "rules", str(path))
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(expressions)} rules found" in done.stdout


def lost(before: Any, after: Any, at: str = "") -> list[str]:
    """What is in a document and not in another, as paths."""
    if isinstance(before, dict):
        other = after if isinstance(after, dict) else {}
        pairs = [(f"{at}.{key}", value, other.get(key)) for key, value in before.items()]
        return [path for where, left, right in pairs for path in lost(left, right, where)]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(f"{at}[{n}]", *both) for n, both in enumerate(zip(before, after, strict=True))]
        return [path for where, left, right in pairs for path in lost(left, right, where)]
    return [] if before == after else [at]


@pytest.mark.slow
def test_grafana_knows_every_key(tmp_path: Path) -> None:
    """Through the types that Grafana publishes for its schema and back, nothing is lost."""
    place = installed(tmp_path / "grafana", "grafana-foundation-sdk")

    def through(document: dict[str, Any]) -> Any:
        done = subprocess.run(
            (place / "python", "-c", ROUND_TRIP),
            input=json.dumps(document),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    found = dashboard()
    assert lost(found, through(found)) == []
    found["panels"][0]["gridPoss"] = found["panels"][0].pop("gridPos")
    assert lost(found, through(found)) != [], "the comparison finds nothing"
