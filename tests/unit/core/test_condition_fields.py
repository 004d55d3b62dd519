"""Fields that cannot be sync conditions."""

from __future__ import annotations

import pytest

from rtsd.core.condition_fields import unsuitable

COMPOUNDS = {"MailingAddress": ("MailingStreet", "MailingCity")}


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("Email", None),
        ("MailingCity", None),
        ("mailingaddress", "mailingaddress is a compound field: name MailingStreet, MailingCity instead"),
        ("lastModifiedById", "lastModifiedById changes with every save, so every update would be pushed"),
        ("Id", "Id never changes"),
    ],
)
def test_each_has_its_reason(field: str, reason: str | None) -> None:
    """Components and ordinary fields have none; case does not matter."""
    assert unsuitable([field], COMPOUNDS) == ([] if reason is None else [reason])
