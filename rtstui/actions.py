"""The actions of an operator on the daemon. Each one names its target and its price before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rtsd.control.client import ControlClient
from rtsd.control.protocol import Estimate, Object, Priced
from rtsd.core.dead_letter import FAILED, WAITING
from rtsd.core.figures import UNKNOWN, count
from rtsd.core.plural import plural
from rtsd.errors import DaemonUnreachable, RtsError
from rtstui.clean import clean
from rtstui.rows import Row
from rtstui.widgets.record import Subject

ASK_THE_NUMBER = 20
"""With more dead letters than this, their number has to be typed."""


class Operator(Protocol):
    """The part of the app that actions use: the daemon, a question, a word to the operator."""

    @property
    def client(self) -> ControlClient:
        """The control API of the selected daemon."""

    async def ask(self, question: str, rows: Sequence[Row], verb: str, word: str | None = None) -> bool:
        """Ask before an action; return True for yes."""

    def say(self, text: str, *, error: bool = False) -> None:
        """Report an outcome."""

    def keep(self, stem: str, suffix: str, text: str) -> bool:
        """Write text to a new file, and report where; return True if it was written."""

    def log_changed(self) -> None:
        """Have the error log and the dead letters read again."""


@dataclass(frozen=True, slots=True)
class Order:
    """An action with its question, the text and the verb of that, and the word on its end."""

    question: str
    rows: Sequence[Row]
    verb: str
    done: str
    run: Callable[[ControlClient], Awaitable[Any]]
    word: str | None = None
    """To be typed, where the action is far-reaching."""


async def give(app: Operator, order: Order) -> bool:
    """Ask, then have an order carried out; return True if it was."""
    if not await app.ask(order.question, order.rows, order.verb, order.word):
        return False
    await order.run(app.client)
    app.say(order.done)
    return True


async def audit(app: Operator, name: str, *, full: bool) -> None:
    """Price an audit, ask, start it."""
    price = await app.client.price_audit(name, full=full)
    effect = (
        f"Reads every row of {name} from Salesforce again and repairs the differences."
        if full
        else f"Compares counts of {name} with Salesforce, then fetches and repairs only the differences."
    )
    kind = "Full audit" if full else "Audit"
    if await app.ask(f"{kind} of {name}?", [((effect, ""),), (), *price_rows(price)], kind, name):
        run = (await app.client.start_audit(name, full=full)).run
        number = f" (run {run})" if run is not None else ""
        app.say(f"{kind} of {name} started{number}. Its findings appear in the events.")


class ShowsRecord(Protocol):
    """The part of the record view that actions use."""

    @property
    def subject(self) -> Subject:
        """The record that is shown."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield its object and id, once they are known."""

    def renew(self) -> None:
        """Have its documents loaded again."""


def _shown(app: Operator, view: ShowsRecord) -> list[tuple[str, str]]:
    """Return the record that is shown; without one, say so."""
    known = list(view.named())
    if not known:
        app.say("No record is shown yet: i types its id.")
    return known


async def compare(app: Operator, view: ShowsRecord) -> None:
    """Compare a record with the org, for one call."""
    for name, record in _shown(app, view):
        rows: list[Row] = [(("One API call: reads it from Salesforce as it is now. Nothing changes.", ""),)]
        if await app.ask(f"Compare {name} {record} with the org?", rows, "Compare"):
            view.subject.compared = True
            view.renew()


async def repair(app: Operator, view: ShowsRecord) -> None:
    """Fetch a record from the org, and apply it."""
    for name, record in _shown(app, view):
        price = (await app.client.price_repair(name, [record])).estimate or Estimate()
        rows: list[Row] = [
            (("Reads it from Salesforce and applies the differences.", ""),),
            (("API calls   ", "dim"), (_calls(price), "")),
        ]
        if await app.ask(f"Fetch {name} {record} again?", rows, "Fetch"):
            done = await app.client.repair(name, [record])
            changed = "it differed and was repaired" if done.repaired else "it was right"
            app.say(f"{name} {record} fetched: {changed} ({plural(done.api_calls, 'API call')}).")
            view.renew()


async def verify(app: Operator) -> None:
    """Verify the whole mirror against the org."""
    rows: list[Row] = [
        (("Checks the file, every stored row and the counts per stamp against the org, and repairs.", ""),),
        (("It reads the whole file, which takes minutes for millions of rows.", ""),),
        (("It takes one API call per object, more where rows differ: see `rtsd verify --dry-run`.", ""),),
    ]
    if await app.ask("Verify the whole mirror?", rows, "Verify"):
        app.say("Verifying. This may take minutes; the findings appear here.")
        done = await app.client.verify()
        if done.ok:
            app.say("The mirror was verified: it is whole and equal to the org.")
            return
        wrong = [verified.name for verified in done.objects if verified.error or verified.broken]
        found = "; ".join([*done.faults, *wrong])
        app.say(f"Not everything is right: {found or 'see the audits'}.", error=True)


def pausing(names: Sequence[str]) -> Order:
    """Return the order to pause objects."""
    said = ", ".join(names)
    text = f"Changes of {said} will wait and are not lost. P on it resumes."
    done = f"{said} paused. P on it resumes."
    return Order(f"Pause {said}?", [((text, ""),)], "Pause", done, lambda client: client.pause(names))


def resuming(names: Sequence[str]) -> Order:
    """Return the order to resume objects."""
    said = ", ".join(names)
    text = (
        f"Pushes for {said} that arrived meanwhile are applied. What is mirrored stays, and is proven again:"
        " that costs a few API calls."
    )
    done = f"{said} resumed; rtsd is proving again what is mirrored."
    return Order(f"Resume {said}?", [((text, ""),)], "Resume", done, lambda client: client.resume(names))


def resuming_all() -> Order:
    """Return the order to resume the whole sync."""
    text = "Pushes that arrived meanwhile are applied. Objects that were paused one by one resume, too."
    return Order(
        "Resume the whole sync?",
        [((text, ""),)],
        "Resume all",
        "The sync is resumed.",
        lambda client: client.resume(),
    )


async def pause(app: Operator, item: Object) -> None:
    """Pause an object, or resume it."""
    await give(app, (resuming if item.state == "paused" else pausing)([item.name]))


async def pause_all(app: Operator) -> None:
    """Pause the whole sync."""
    text = "Pushes are still accepted and stored; nothing is applied until it is resumed."
    await give(
        app,
        Order(
            "Pause the whole sync?",
            [((text, ""),)],
            "Pause all",
            "The sync is paused.",
            lambda client: client.pause(),
        ),
    )


async def resume_all(app: Operator) -> None:
    """Resume the whole sync."""
    await give(app, resuming_all())


async def retry(app: Operator, letters: Sequence[int]) -> None:
    """Retry dead letters."""
    chosen = plural(len(letters), "dead letter")
    rows: list[Row] = [(("Applied or sent again; what fails again stays here, with its number.", ""),)]
    word = str(len(letters)) if len(letters) > ASK_THE_NUMBER else None
    if await app.ask(f"Retry {chosen}?", rows, "Retry", word):
        ended = _Ended()
        await _each(app, letters, lambda letter: ended.take(letter, app.client))
        if said := ended.said():
            app.say(said, error=ended.is_bad)


class _Ended:
    """How the retries of dead letters ended."""

    def __init__(self) -> None:
        self._outcomes: Counter[str] = Counter()
        self._failed = ""
        """The first one that failed again, and what to do."""

    async def take(self, letter: int, client: ControlClient) -> None:
        """Retry one; once one waits, such as in a pause, the others are not waited for either."""
        ended = await client.retry(letter, wait=not self._outcomes[WAITING])
        self._outcomes[ended.outcome] += 1
        if ended.outcome == FAILED and not self._failed:
            self._failed = f"Dead letter {letter} failed again: {ended.reason}. {ended.do or ''}".rstrip()

    @property
    def is_bad(self) -> bool:
        """True if one failed again."""
        return bool(self._failed)

    def said(self) -> str:
        """Return it in a sentence or two."""
        if len(self._outcomes) == 1 and self._outcomes[FAILED] == 1:
            return self._failed
        found = {name: number for name, number in self._outcomes.items() if number}
        words = {FAILED: "failed again", WAITING: "not tried yet: the list tells when"}
        counts = ", ".join(f"{number} {words.get(name, name)}" for name, number in found.items())
        return " ".join(filter(None, (f"{counts}." if counts else "", self._failed)))


async def drop(app: Operator, letters: Sequence[int]) -> None:
    """Save dead letters to a file, and delete them."""
    chosen, single = plural(len(letters), "dead letter"), len(letters) == 1
    rows: list[Row] = [
        ((f"{'Its' if single else 'Their'} content is never applied. This cannot be undone.", "error"),),
        ((f"{'It is' if single else 'They are'} saved to a file here first.", ""),),
        (("An audit still finds what the mirror lacks.", ""),),
    ]
    if await app.ask(f"Drop {chosen}?", rows, "Drop", str(len(letters))):
        kept = [(await app.client.get(f"/v1/dead-letters/{letter}")).decode() for letter in letters]
        if app.keep("dropped", "jsonl", "".join(f"{document}\n" for document in kept)):
            done = await _each(app, letters, app.client.drop)
            app.say(f"{done} dropped.")


async def _each(app: Operator, letters: Sequence[int], act: Callable[[int], Awaitable[object]]) -> int:
    """Send a request per letter, and return how many were not refused: a refusal does not stop the others."""
    refused: list[str] = []
    for letter in letters:
        try:
            await act(letter)
        except DaemonUnreachable:
            raise
        except RtsError as error:
            refused.append(f"{letter}: {error.message}")
    app.log_changed()
    if refused:
        app.say(f"{len(refused)} refused. {refused[0]}", error=True)
    return len(letters) - len(refused)


def _calls(estimate: Estimate) -> str:
    """Return the API calls of a price, with those of repairs that may be needed."""
    most = estimate.api_calls_with_repairs
    if most is None or estimate.api_calls is None or most <= estimate.api_calls:
        return count(estimate.api_calls)
    return f"{count(estimate.api_calls)}, up to {count(most)} with repairs"


def price_rows(price: Priced) -> list[Row]:
    """Return a price as a table, and its problems."""
    estimate = price.estimate or Estimate()
    minutes = estimate.minutes
    takes = UNKNOWN if minutes is None else "under a minute" if minutes < 1 else f"about {minutes:.0f} min"
    rows: list[Row] = [
        (("rows        ", "dim"), (count(estimate.rows), "")),
        (("API calls   ", "dim"), (_calls(estimate), "")),
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
