"""The configuration in the READMEs of examples/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.configuration import MINIMAL, Load

EXAMPLES = Path(__file__).parents[3] / "examples"
BLOCKS = [
    (path.parent.name, text)
    for path in sorted(EXAMPLES.glob("*/README.md"))
    for text in re.findall(r"(?ms)^```toml\n(.*?)^```", path.read_text())
]
GATEWAY = '[gateway]\ntoken = "push-token-value"\n'
OBJECTS = '[[objects]]\nname = "Lead"\n[[objects]]\nname = "Opportunity"\n'


@pytest.mark.parametrize(("name", "block"), BLOCKS, ids=[name for name, _ in BLOCKS])
def test_the_configuration_loads(load: Load, tmp_path: Path, name: str, block: str) -> None:
    """Added to one that works, as it stands."""
    assert GATEWAY in MINIMAL
    secret = tmp_path / "hook-secret"
    secret.touch(mode=0o600)
    secret.write_text("a secret of a test\n")
    text = MINIMAL
    if "[gateway]" in block:
        text, block = text.replace(GATEWAY, ""), block.replace("[gateway]\n", GATEWAY)
    found = load(text + OBJECTS + block)
    assert any((found.rules, found.streams, found.gateway.public_url))


def test_there_are_some() -> None:
    """Of those that rtsd is configured for."""
    assert {name for name, _ in BLOCKS} == {"jetstream", "proxy", "slack", "webhook"}
