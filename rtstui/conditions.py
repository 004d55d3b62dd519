"""What an operator can do to the org's side: sync conditions, and push as a whole."""

from __future__ import annotations

from typing import Protocol

from rtsd.control.protocol import Conditions
from rtstui.actions import Desk
from rtstui.documents import read as read_document
from rtstui.rows import Row
from rtstui.widgets.conditions import Editing, difference


class Editor(Protocol):
    """What these acts need of the view."""

    @property
    def editing(self) -> Editing:
        """The chosen object, and what is not applied yet."""

    def renew(self) -> None:
        """Have what stands asked for again."""


async def read(desk: Desk, view: Editor) -> None:
    """Read an object's conditions from the org, for one call."""
    name = view.editing.chosen
    if not name:
        return
    rows: list[Row] = [(("One API call: reads them as they stand in Salesforce now.", ""),)]
    if await desk.ask(f"Read the sync conditions of {name}?", rows, "Read"):
        await _fresh(desk, name)
        view.renew()


async def apply(desk: Desk, view: Editor) -> None:
    """Show the difference, ask, write it in the org; what changed there meanwhile is never overwritten."""
    name = view.editing.chosen
    staged = view.editing.of(name)
    if not name or not staged.changed:
        desk.say("Nothing was changed.")
        return
    rows: list[Row] = [((line, role),) for line, role in difference(staged)]
    rows += [
        (),
        (
            (
                "About three API calls: reads them, writes RTS_Synced_Field__c. No record is read again.",
                "",
            ),
        ),
        (("Takes effect with the next change; others still come with Interval Sync and audits.", ""),),
    ]
    wanted = sorted(staged.wanted)
    if not await desk.ask(f"Change the sync conditions of {name}?", rows, "Apply", name):
        return
    if frozenset((await _fresh(desk, name)).fields) != staged.base:
        view.renew()
        desk.say(f"The conditions of {name} were changed in Salesforce meanwhile: look again.", error=True)
        return
    await desk.client.set_conditions(name, wanted)
    staged.applied()
    view.renew()
    desk.say(f"The sync conditions of {name} are {', '.join(wanted) or 'none: any change pushes'}.")


async def switch(desk: Desk, view: Editor) -> None:
    """Switch push off, or on again, for the whole org."""
    known = await desk.client.package()
    if known.disabled:
        rows: list[Row] = [(("One or two API calls. Pushes come again with the next change.", ""),)]
        if await desk.ask("Enable push in Salesforce?", rows, "Enable"):
            await desk.client.set_package_disabled(disabled=False)
            desk.say("Push is enabled.")
    else:
        rows = [
            (("Nothing is pushed any more, for the whole org, until it is enabled again.", "warn"),),
            (("The mirror stays right: Interval Sync reads what changes, which costs Bulk jobs.", ""),),
        ]
        if await desk.ask("Disable push in Salesforce?", rows, "Disable", "disable"):
            await desk.client.set_package_disabled(disabled=True)
            desk.say("Push is disabled. X enables it again.")
    view.renew()


async def _fresh(desk: Desk, name: str) -> Conditions:
    """The conditions as they stand in the org now."""
    return read_document(await desk.client.conditions(name), Conditions)
