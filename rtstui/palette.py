"""What the views are about, in the words of somebody who looks for something without knowing its name."""

from __future__ import annotations

MEANINGS = {
    "view('1')": "everything at a glance, is it right, is it fresh, delay, lag",
    "view('2')": "changes, history, live, who changed what",
    "view('3')": "tables, rows, state, freshness, delay, proven, pause one",
    "view('4')": "failed, refused, dead letters, retry",
    "view('5')": "cost, API calls, limits, forecast",
    "view('6')": "sync conditions, push channel, stream, package, relay",
    "view('7')": "lost pushes, missed changes, drift, proof, repairs",
    "view('8')": "values of one record, why, versions",
    "view('9')": "webhooks, commands, alerts, fired",
    "view('0')": "query, SELECT",
    "find_record": "person, customer, e-mail address, phone, name, id",
    "actions": "who paused, dropped or audited what, undo",
}
"""By the action of a command; what is not here is named by its own words alone."""


def title_of(description: str, action: str) -> str:
    """Return the words that a command is found by."""
    meaning = MEANINGS.get(action.removeprefix("app."))
    return f"{description}: {meaning}" if meaning else description.capitalize()
