"""The actions of an operator on the org's side: sync conditions, and push on or off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rtstui.actions import Operator, Order, give
from rtstui.rows import Row
from rtstui.widgets.conditions import Editing, difference

WRITING = "About three API calls: reads them, writes RTS_Synced_Field__c. No record is read again."
"""The price of writing an object's conditions."""


class EditsConditions(Protocol):
    """The part of the conditions view that actions use."""

    @property
    def editing(self) -> Editing:
        """The chosen object, and the edits that are not applied yet."""

    def renew(self) -> None:
        """Have conditions and package loaded again."""


def named(fields: Sequence[str]) -> str:
    """Return the fields that are conditions, in words."""
    return ", ".join(fields) or "none: any change pushes"


async def read(app: Operator, view: EditsConditions) -> None:
    """Read an object's conditions from the org, for one call."""
    name = view.editing.chosen
    if not name:
        app.say("There is no object whose conditions could be read.")
        return
    rows: list[Row] = [(("One API call: reads them from Salesforce as they are now.", ""),)]
    if await app.ask(f"Read the sync conditions of {name}?", rows, "Read"):
        await app.client.conditions(name)
        view.renew()


async def apply(app: Operator, view: EditsConditions) -> None:
    """Show the edits, ask, write them to the org; a change made there meanwhile is never overwritten."""
    name = view.editing.chosen
    staged = view.editing.of(name)
    if not name or not staged.changed:
        app.say("Nothing was changed.")
        return
    wanted = sorted(staged.wanted)
    rows: list[Row] = [((line, role),) for line, role in difference(staged)]
    rows += [
        (),
        (("now   ", "dim"), (named(sorted(staged.base)), "")),
        (("then  ", "dim"), (named(wanted), "bold")),
        (),
        ((WRITING, ""),),
    ]
    if wanted:
        said = "A change of other fields alone is not pushed: it comes with Interval Sync and audits."
        rows.append(((said, ""),))
    if not await app.ask(f"Change the sync conditions of {name}?", rows, "Apply", name):
        return
    if frozenset((await app.client.conditions(name)).fields) != staged.base:
        view.renew()
        app.say(
            f"The conditions of {name} were changed in Salesforce meanwhile: check them again.", error=True
        )
        return
    await app.client.set_conditions(name, wanted)
    staged.applied()
    view.renew()
    app.say(f"The sync conditions of {name} are {named(wanted)}.")


async def switch(app: Operator, view: EditsConditions) -> None:
    """Switch push off or on, for the whole org."""
    known = await app.client.package()
    await give(app, enabling() if known.disabled else disabling())
    view.renew()


def enabling() -> Order:
    """Return the order to enable push in the org."""
    return Order(
        "Enable push in Salesforce?",
        [(("One or two API calls. Pushes come again with the next change.", ""),)],
        "Enable",
        "Push is enabled.",
        lambda client: client.set_package_disabled(disabled=False),
    )


def disabling() -> Order:
    """Return the order to disable push in the org."""
    rows: list[Row] = [
        (("Nothing is pushed, for the whole org, until it is enabled again.", "warn"),),
        (("The mirror stays right: Interval Sync reads what changes, which costs API calls.", ""),),
    ]
    return Order(
        "Disable push in Salesforce?",
        rows,
        "Disable",
        "Push is disabled. X enables it again.",
        lambda client: client.set_package_disabled(disabled=True),
        "disable",
    )
