"""`[store.views]`: where the views of each layout come."""

from __future__ import annotations

import pytest

from rtsd.core.layout import Layout
from tests.support.configuration import Load, Mistakes

POSTGRES = '[store]\nurl = "postgresql://rts@db.example.com/acme"\n'


def test_none_is_the_default(load: Load) -> None:
    """Nobody gets views that nobody wants."""
    assert load().store.views.used() == {}


def test_each_layout_has_a_place(load: Load) -> None:
    """With the mirror elsewhere, Heroku Connect's users find them in the schema that they had."""
    more = f'{POSTGRES}schema = "mirror"\n[store.views]\nheroku_connect = "salesforce"\nfivetran = ""\n'
    assert load(more=more).store.views.used() == {Layout.HEROKU_CONNECT: "salesforce"}


@pytest.mark.parametrize(
    ("more", "key", "wrong"),
    [
        (
            f'{POSTGRES}[store.views]\nheroku_connect = "salesforce"\n',
            "heroku_connect",
            "has rtsd's own tables",
        ),
        (f'{POSTGRES}[store.views]\nfivetran = "rts"\n', "fivetran", "has rtsd's own tables"),
        ('[store.views]\nheroku_connect = "x"\nfivetran = "x"\n', "heroku_connect", "of two layouts"),
        ('[store.views]\nfivetran = "My Views"\n', "fivetran", "is not the name of a schema"),
        ('[store.views]\nfivetran = "pg_views"\n', "fivetran", "PostgreSQL's own"),
        ("[store.views]\nfivetran = 7\n", "fivetran", "is not the name of a schema"),
        ('[store.views]\nairbyte = "x"\n', "airbyte", "is not a key here; heroku_connect, fivetran"),
        (
            '[store.views]\nheroku_connect = "hc"\n[[objects]]\nname = "HC_Thing__c"\n',
            "heroku_connect",
            "begins the name of an object",
        ),
    ],
)
def test_a_place_that_cannot_be(mistakes: Mistakes, more: str, key: str, wrong: str) -> None:
    """Each mistake by its key, with what is allowed."""
    found = [line for line in mistakes(more=more) if line.startswith(f"store.views.{key}: ")]
    assert len(found) == 1
    assert wrong in found[0]
