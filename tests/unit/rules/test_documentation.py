"""docs/rules.md: what it shows works as it stands."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from rtsd.config.model import AlertSection, Command, RuleSection, Webhook
from rtsd.core.schema import Field, Kind, ObjectSchema
from rtsd.core.signature import sign
from rtsd.store.when import When

TEXT = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", TEXT)


def test_the_receiver_takes_what_we_sign_and_nothing_else() -> None:
    """Its ten lines accept a delivery of ours, and refuse another secret, another body and an old one."""
    names: dict[str, Any] = {}
    (source,) = blocks("python")
    exec(source, names)
    now = int(time.time())

    def headers(at: int = now) -> dict[str, str]:
        signature = sign(b"secret", "rts_1", at, b"{}")
        return {"webhook-id": "rts_1", "webhook-timestamp": str(at), "webhook-signature": signature}

    assert names["is_genuine"](b"secret", headers(), b"{}")
    assert not names["is_genuine"](b"other", headers(), b"{}")
    assert not names["is_genuine"](b"secret", headers(), b"{ }")
    assert not names["is_genuine"](b"secret", headers(now - 400), b"{}")


@pytest.mark.parametrize("condition", [line for text in blocks("sql") for line in text.splitlines() if line])
def test_the_conditions_are_conditions(condition: str) -> None:
    """Each example is one, comment and all."""
    names = ("Email", "StageName", "CloseDate", "LeadSource")
    fields = [Field(name, "string", Kind.TEXT) for name in names]
    When(condition, ObjectSchema("Opportunity", (*fields, Field("Amount", "currency", Kind.REAL)), None))


def test_every_key_and_condition_is_told() -> None:
    """A key of a rule, an action or an alert, and each thing an alert can be for, has its word here."""
    keys = {name for model in (RuleSection, AlertSection, Webhook, Command) for name in model.model_fields}
    kinds = set(re.findall(r"'(\w+)'", str(AlertSection.model_fields["on"].annotation)))
    assert len(kinds) == 7
    assert {name for name in keys | kinds if f"`{name}`" not in TEXT and f"{name} = " not in TEXT} <= {
        "webhook",
        "command",
        "secret",
    }
