#!/usr/bin/env python3
"""A command for rules and alerts of rtsd: posts the document on standard input to a Slack channel.

Exit status 0: Slack has it. Anything else: rtsd tries again later, and keeps the reason that it prints. The
reason has no value of a record, and not the webhook's URL, which is a secret.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TIME_LIMIT_S = 15
"""For everything, however slowly Slack answers. `timeout` of the rule is the limit for any command, 60 s."""
MOST_CHARACTERS = 200
"""Of one value: the message stays short whatever somebody types into Salesforce."""
FIELDS = ("Name", "FirstName", "LastName", "Company", "Email", "StageName", "Amount", "CloseDate")
"""What is shown of a record, where it has it."""


class Refused(Exception):
    """Why nothing was posted, in words that may be stored."""


def escaped(value: object) -> str:
    """Return a value as harmless text: no mention, no link, one line (Slack: Formatting text, Escaping)."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    text = " ".join(text.split())
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def message(document: dict[str, Any]) -> str:
    """Return the text for a rule's or an alert's document."""
    if "alert" in document:
        sign = ":white_check_mark:" if document["resolved"] else ":rotating_light:"
        return f"{sign} {escaped(document['alert'])}: {escaped(document['message'])}"
    event, record = document["event"], document["record"] or {}
    values = (f"{name}: {escaped(record[name])}" for name in FIELDS if record.get(name) not in (None, ""))
    rule, of, record_id, op = map(escaped, (document["rule"], event["object"], event["id"], event["op"]))
    return "\n".join([f"{rule}: {of} {record_id}, {op}", *values])


def post(url: str, text: str) -> None:
    """Post a text. Raises Refused; a redirect is refused, too."""
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.netloc, timeout=TIME_LIMIT_S)
    elif parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIME_LIMIT_S)
    else:
        raise Refused("the URL must begin with https://")
    # Without mrkdwn stars in a name stay stars; no preview of an address that somebody typed.
    body = {"text": text, "mrkdwn": False, "link_names": False, "unfurl_links": False, "unfurl_media": False}
    try:
        connection.request("POST", parts.path, json.dumps(body), {"Content-Type": "application/json"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Refused(f"no answer from Slack: {type(error).__name__}") from error
    finally:
        connection.close()
    if status != 200:
        raise Refused(
            f"Slack answers {status}; 403, 404 and 410 mean that the webhook is gone: make a new one"
        )


def out_of_time(_number: int, _frame: object) -> None:
    """End it."""
    raise Refused(f"Slack did not answer within {TIME_LIMIT_S} s")


def main() -> int:
    """Post the document of standard input to the URL in the file that the argument names."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: post_to_slack.py FILE_WITH_THE_URL < document\n")
        return 2
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(TIME_LIMIT_S)
    try:
        post(Path(sys.argv[1]).read_text().strip(), message(json.load(sys.stdin)))
    except OSError as error:
        sys.stderr.write(f"cannot read {sys.argv[1]}: {error.strerror}\n")
        return 1
    except Refused as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
