"""config/alerts.yml by Prometheus's own tool: every alert fires for its state, and for nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "config" / "alerts.yml"
CASES = ROOT / "tests" / "golden" / "alerts.test.yml"
PROMTOOL = shutil.which("promtool", path="/usr/local/bin:/usr/bin:/opt/homebrew/bin")
needed = pytest.mark.skipif(
    not PROMTOOL, reason="promtool is not installed; get it with: apt-get install prometheus"
)


def promtool(*words: object) -> subprocess.CompletedProcess[str]:
    """Run it."""
    command = (PROMTOOL or "", *map(str, words))
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    found = yaml.safe_load(ALERTS.read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def test_every_alert_has_a_case() -> None:
    """With a daemon that is ill and one that is well: silent at first, then firing for the first alone."""
    every = rules()
    cases = {case["name"]: case for case in yaml.safe_load(CASES.read_text())["tests"]}
    assert list(cases) == [rule["alert"] for rule in every], "one each, in the order of config/alerts.yml"
    for rule, (name, case) in zip(every, cases.items(), strict=True):
        series = [each["series"] for each in case["input_series"]]
        assert any('"well"' in each or '"other"' in each for each in series), name
        checks = [check["exp_samples"] for check in case["promql_expr_test"]]
        assert checks[0] == [], f"{name} fires at once"
        (fired,) = [sample["labels"] for sample in checks[1]]
        assert f'"{name}"' in fired
        named = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert named <= set(re.findall(r'(\w+)="', fired)), f"{name} names a label that it has not"


@needed
def test_the_rules_are_valid() -> None:
    """Syntax, names, templates."""
    done = promtool("check", "rules", ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules())} rules found" in done.stdout


@needed
def test_each_fires_for_its_state_alone() -> None:
    """`promtool test rules`, as the file itself says."""
    done = promtool("test", "rules", CASES)
    assert done.returncode == 0, done.stdout + done.stderr
