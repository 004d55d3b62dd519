"""Every key binding of the dashboard by its id, for the key map and the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.binding import Binding
from textual.dom import DOMNode

from rtstui.app import RtsTui
from rtstui.screens.action_log import ActionLog
from rtstui.screens.audits import AuditsView
from rtstui.screens.conditions import ConditionsView
from rtstui.screens.dialogs import Confirm, Dialog, Help, Reader
from rtstui.screens.events import Events
from rtstui.screens.find import FindLine
from rtstui.screens.orgs import Orgs
from rtstui.screens.query import QueryView
from rtstui.screens.record import RecordView
from rtstui.screens.rules import RulesView
from rtstui.screens.service import ServiceView
from rtstui.screens.spell import SpellChanges
from rtstui.screens.view import View
from rtstui.screens.views import Errors, ObjectsView, Overview, QuotaView
from rtstui.widgets.conditions import Fields
from rtstui.widgets.errors import DeadLetters
from rtstui.widgets.objects import Objects
from rtstui.widgets.prompt import InputLine
from rtstui.widgets.record import Values
from rtstui.widgets.result import ResultTable
from rtstui.widgets.rules import RuleTable
from rtstui.widgets.sql_editor import SqlEditor
from rtstui.widgets.stream import Stream
from rtstui.widgets.table import Table

WIDGETS: tuple[type[DOMNode], ...] = (
    Table,
    Stream,
    Objects,
    DeadLetters,
    Fields,
    RuleTable,
    Values,
    SqlEditor,
    ResultTable,
)
VIEWS: tuple[type[View], ...] = (
    Overview,
    Events,
    ObjectsView,
    Errors,
    QuotaView,
    ConditionsView,
    AuditsView,
    RecordView,
    RulesView,
    QueryView,
    ServiceView,
)
DIALOGS: tuple[type[DOMNode], ...] = (
    Dialog,
    Confirm,
    Reader,
    Help,
    Orgs,
    ActionLog,
    SpellChanges,
    FindLine,
    InputLine,
)


def bindings() -> Iterator[tuple[str, Binding]]:
    """Yield each binding with its id: of the app, the views, their panels, the dialogs."""
    views = [base for view in VIEWS for base in view.__mro__ if base.__module__.startswith("rtstui")]
    seen: set[str] = set()
    for owner in (RtsTui, *views, *WIDGETS, *DIALOGS):
        for binding in _own(owner):
            if binding.id and binding.id not in seen:
                seen.add(binding.id)
                yield binding.id, binding


def _own(owner: Any) -> Iterator[Binding]:
    for binding in owner.__dict__.get("BINDINGS", ()):
        if isinstance(binding, Binding):
            yield binding
