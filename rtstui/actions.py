"""What an operator can make the daemon do. Each act names its target and its price before it happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec

from rtsd.control.client import ControlClient, WrongProtocol
from rtsd.control.protocol import Object
from rtsd.errors import DaemonUnreachable, RtsError
from rtstui.clean import clean
from rtstui.format import UNKNOWN, count, plural
from rtstui.rows import Row
from rtstui.widgets.record import Subject

ASK_THE_NUMBER = 20
"""From more than so many dead letters on, their number has to be typed."""


class Desk(Protocol):
    """What acts need of the app: the daemon, a question, a word to the operator."""

    @property
    def client(self) -> ControlClient:
        """The daemon that is looked at."""

    async def ask(self, question: str, rows: Sequence[Row], verb: str, word: str | None = None) -> bool:
        """Ask before acting."""

    def say(self, text: str, *, error: bool = False) -> None:
        """Tell how it went."""

    def keep(self, stem: str, suffix: str, text: str) -> bool:
        """Write text to a file, and say where or why not; whether it was written."""

    def log_changed(self) -> None:
        """The error log or the dead letters are to be read again."""


class Estimate(msgspec.Struct):
    """The price of an audit (contract section 5); what a daemon does not know is left out."""

    rows: float | None = None
    api_calls: float | None = None
    bulk_jobs: float | None = None
    mb: float | None = None
    minutes: float | None = None
    share_of_daily: dict[str, float] = {}


class Problem(msgspec.Struct):
    """Why an audit would not go well, and what to do."""

    what: str
    do: str = ""


class Price(msgspec.Struct):
    """The answer to a dry run."""

    estimate: Estimate = msgspec.field(default_factory=Estimate)
    problems: list[Problem] = []


async def audit(desk: Desk, name: str, *, full: bool) -> None:
    """Price an audit, ask, start it."""
    price = _price(await desk.client.audit(name, full=full, dry_run=True))
    what = (
        f"Reads every row of {name} from Salesforce again and repairs what differs."
        if full
        else f"Compares counts of {name} with Salesforce, then fetches and repairs only what differs."
    )
    kind = "Full audit" if full else "Audit"
    if await desk.ask(f"{kind} of {name}?", [((what, ""),), (), *price_rows(price)], kind, name):
        answer = await desk.client.audit(name, full=full)
        desk.say(f"{kind} of {name} started{_run(answer)}. Its findings appear in the events.")


class Looked(Protocol):
    """What acts on one record need of the view that shows it."""

    @property
    def subject(self) -> Subject:
        """The record, and whether the org was asked for it."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Its object and id, once they are known."""

    def renew(self) -> None:
        """Have its documents asked for again."""


async def compare(desk: Desk, view: Looked) -> None:
    """Ask the org for a record, for one call."""
    for name, record in view.named():
        rows: list[Row] = [(("One API call: asks Salesforce how it stands there now. Nothing changes.", ""),)]
        if await desk.ask(f"Compare {name} {record} with the org?", rows, "Compare"):
            view.subject.compared = True
            view.renew()


async def repair(desk: Desk, view: Looked) -> None:
    """Fetch a record from the org, and apply it."""
    for name, record in view.named():
        rows: list[Row] = [
            (("One or two API calls: reads it from Salesforce and applies what differs.", ""),)
        ]
        if await desk.ask(f"Fetch {name} {record} again?", rows, "Fetch"):
            done = await desk.client.repair(name, [record])
            changed = "it differed and was repaired" if done.get("repaired") else "it was right already"
            desk.say(f"{name} {record} fetched: {changed} ({done.get('api_calls', UNKNOWN)} API calls).")
            view.renew()


async def verify(desk: Desk) -> None:
    """Verify the whole mirror against the org."""
    rows: list[Row] = [
        (("Checks the file, every stored row and the counts per stamp against the org, and repairs.", ""),),
        (
            (
                "It costs a few API calls per object and reads the whole file: minutes for millions.",
                "",
            ),
        ),
    ]
    if await desk.ask("Verify the whole mirror?", rows, "Verify"):
        desk.say("Verifying. This may take minutes; what it finds appears here.")
        done = await desk.client.verify()
        if done.get("ok"):
            desk.say("The mirror was verified: it is whole and equal to the org.")
            return
        wrong = [one.get("name") for one in done.get("objects", []) if one.get("error") or one.get("broken")]
        told = "; ".join([*map(str, done.get("faults", [])), *map(str, wrong)])
        desk.say(f"Not everything is right: {told or 'see the audits'}.", error=True)


async def pause(desk: Desk, item: Object) -> None:
    """Pause an object, or resume it."""
    name = item.name
    if item.state == "paused":
        rows: list[Row] = [((f"What has arrived for {name} meanwhile is applied.", ""),)]
        if await desk.ask(f"Resume {name}?", rows, "Resume"):
            await desk.client.resume([name])
            desk.say(f"{name} resumed.")
        return
    rows = [((f"Changes of {name} will wait and are not lost. P on it resumes.", ""),)]
    if await desk.ask(f"Pause {name}?", rows, "Pause"):
        await desk.client.pause([name])
        desk.say(f"{name} paused. P on it resumes.")


async def pause_all(desk: Desk) -> None:
    """Pause every object."""
    rows: list[Row] = [(("Pushes are still taken and kept; nothing is applied until it is resumed.", ""),)]
    if await desk.ask("Pause the whole sync?", rows, "Pause all"):
        await desk.client.pause()
        desk.say("The sync is paused.")


async def resume_all(desk: Desk) -> None:
    """Resume every object."""
    rows: list[Row] = [(("What has arrived meanwhile is applied.", ""),)]
    if await desk.ask("Resume the whole sync?", rows, "Resume all"):
        await desk.client.resume()
        desk.say("The sync goes on.")


async def retry(desk: Desk, letters: Sequence[int]) -> None:
    """Try dead letters again."""
    what = plural(len(letters), "dead letter")
    rows: list[Row] = [(("Applied as if it had just come; what fails again returns here.", ""),)]
    word = str(len(letters)) if len(letters) > ASK_THE_NUMBER else None
    if await desk.ask(f"Retry {what}?", rows, "Retry", word):
        await _each(desk, letters, "retried")


async def drop(desk: Desk, letters: Sequence[int]) -> None:
    """Give dead letters up."""
    what = plural(len(letters), "dead letter")
    rows: list[Row] = [
        (("What it holds is never applied. This cannot be undone.", "error"),),
        (("It is written to a file here first. An audit would still find what the mirror lacks.", ""),),
    ]
    if await desk.ask(f"Drop {what}?", rows, "Drop", str(len(letters))):
        kept = [(await desk.client.get(f"/v1/dead-letters/{letter}")).decode() for letter in letters]
        if desk.keep("dropped", "jsonl", "".join(f"{one}\n" for one in kept)):
            await _each(desk, letters, "dropped")


async def _each(desk: Desk, letters: Sequence[int], done: str) -> None:
    """One request per letter; a refusal of one does not stop the others."""
    refused: list[str] = []
    for letter in letters:
        try:
            await (desk.client.retry(letter) if done == "retried" else desk.client.drop(letter))
        except DaemonUnreachable:
            raise
        except RtsError as error:
            refused.append(f"{letter}: {error.message}")
    desk.log_changed()
    text = f"{len(letters) - len(refused)} {done}"
    if refused:
        desk.say(f"{text}, {len(refused)} refused. {refused[0]}", error=True)
    else:
        desk.say(f"{text}.")


def _price(answer: dict[str, Any]) -> Price:
    try:
        return msgspec.convert(answer, Price)
    except msgspec.ValidationError as error:
        raise WrongProtocol(f"rtsd's price cannot be read: {error}.", "Nothing was started.") from error


def price_rows(price: Price) -> list[Row]:
    """A price as a table, and what stands in the way."""
    estimate = price.estimate
    minutes = estimate.minutes
    takes = UNKNOWN if minutes is None else "under a minute" if minutes < 1 else f"about {minutes:.0f} min"
    rows: list[Row] = [
        (("rows        ", "dim"), (count(estimate.rows), "")),
        (("API calls   ", "dim"), (count(estimate.api_calls), "")),
        (("Bulk jobs   ", "dim"), (count(estimate.bulk_jobs), "")),
        (("download    ", "dim"), (UNKNOWN if estimate.mb is None else f"{estimate.mb:.1f} MB", "")),
        (("takes       ", "dim"), (takes, "")),
    ]
    rows += [
        (("of the day  ", "dim"), (f"{share:.2g} % of {clean(limit)}", "warn" if share > 20 else ""))
        for limit, share in estimate.share_of_daily.items()
    ]
    for problem in price.problems:
        rows += [(), ((f"▲ {clean(problem.what)} {clean(problem.do)}", "warn"),)]
    return rows


def _run(answer: dict[str, Any]) -> str:
    run = answer.get("run")
    return f" (run {run})" if isinstance(run, int) else ""
