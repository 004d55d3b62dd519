"""Each answer tried when it was given, by the checks of `rtsd check`, with one login for all of them."""

from __future__ import annotations

import asyncio
import os.path
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from rtsd import config
from rtsd.config import Config
from rtsd.config.credentials import credentials
from rtsd.config.engine import engine_of, is_url
from rtsd.core import my_domain, sfdx_url
from rtsd.core.plural import plural
from rtsd.core.problem import Problem
from rtsd.errors import ConfigError, RtsError, StorageUnwritable
from rtsd.gateway.listener import listen
from rtsd.machine import random_token, wall_ms
from rtsd.salesforce import sf_cli
from rtsd.salesforce.address import api_versions
from rtsd.salesforce.client import Client
from rtsd.salesforce.session import Session
from rtsd.workflows.capture import CaptureReport
from rtsd.workflows.check import Report, stages
from rtsd.workflows.installation.org_session import CallCounter
from rtsd.workflows.installation.plan import require_channel
from rtsd.workflows.setup.answers import PUSH_TOKEN, Answers
from rtsd.workflows.setup.places import Places

_PREDICATES = ("is ", "has ", "contains ", "names ", "would ")
_NO_PACKAGE = Problem(
    "The package is not in the org yet: until it is, rtsd reads every five minutes.",
    "`rtsd package deploy` puts it there.",
)
_MADE_LATER = "It is made when the configuration is written."
_NOT_FOR_A_SERVICE = Problem(
    "A service cannot use the login of Salesforce CLI, which is that of one user.",
    "Choose another way to log in, or name another configuration with -c.",
)


class Refused(Exception):
    """An answer that cannot be used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].what if problems else "")
        self.problems = [_in_words(problem) for problem in problems]


@dataclass
class Trials:
    """Tries the answers; `report` is what `rtsd check` would say of them."""

    answers: Answers
    places: Places
    report: Report = field(default_factory=Report)
    counter: CallCounter = field(default_factory=CallCounter)
    notes: list[Problem] = field(default_factory=list)
    """Of the last trial: what works nevertheless, or will after a later step."""
    _session: Session | None = None

    async def address(self) -> None:
        """Reach the org without a login, and choose the API version. Raises Refused."""
        try:
            with _refusing():
                versions = await api_versions(self.answers.login_url)
        except Refused:
            self.answers.login_url = ""  # no default for the next time
            raise
        default = config.Org.model_fields["api_version"].default
        if versions and default not in versions:
            self.answers.api_version = versions[-1]

    async def login(self) -> None:
        """Log in, and read who that is in which org. Raises Refused."""
        answers, self._session, self.report = self.answers, None, Report()
        if answers.auth == "sf" and self.places.is_service:
            raise Refused([_NOT_FOR_A_SERVICE])
        with _refusing():
            if answers.auth == "sfdx_url":
                self._check_sfdx_url()
            settings = self._config()
            self._session = Session(credentials(settings.org), self.counter, wall_ms)
            token = await self._session.token()
            answers.login_url = answers.login_url or token.instance_url
            async with self._client() as client:
                await stages.org(client, self.report)
        self.notes = [*self.report.problems, *stages.warnings(settings)]

    def _check_sfdx_url(self) -> None:
        """Refuse the URL of another host than the one that was named."""
        try:
            found = sfdx_url.parse(self.answers.secret)
        except ValueError as error:
            raise Refused([_mistake(error)]) from None
        if self.answers.login_url and found.login_url != self.answers.login_url:
            message = f"The SFDX authorization URL is of {found.host}, not of {self.answers.login_url}."
            raise ConfigError(message, "Give the URL of this org, or the other address.")

    async def objects(self) -> None:
        """Describe and count the objects. Raises Refused with a problem for each that cannot be mirrored."""
        wanted = {name.lower() for name in self.answers.objects}
        self.report.objects = [found for found in self.report.objects if found.name.lower() in wanted]
        with _refusing():
            await self._put_into_report(stages.mirrored_objects)
        if self.report.problems:
            raise Refused(self.report.problems)
        order = [name.lower() for name in self.answers.objects]
        self.report.objects.sort(key=lambda found: order.index(found.name.lower()))
        self.answers.objects = tuple(found.name for found in self.report.objects)

    async def channel(self) -> None:
        """Try whether changes can come this way. Raises Refused."""
        self.report.capture = None  # of another answer
        is_needed = self.answers.is_pushed or self.places.is_service  # whose unit loads it in any case
        self.answers.push_token = self._push_token() if is_needed else ""
        with _refusing():
            settings = self._config()
            if self.answers.channel == "gateway":
                require_channel(settings)
            await self._put_into_report(stages.package, stages.selection)
            if self.answers.channel == "gateway":
                await self._try_gateway(settings)
            if self._session is not None:
                await stages.subscription(self._session, settings, self.report)
        problems = [problem for problem in self.report.problems if not problem.awaits_setup]
        if problems:
            raise Refused(problems)
        if self.answers.is_pushed and self.report.package == "missing":
            self.notes.append(_NO_PACKAGE)
        elif self.report.capture is not None:
            self.notes += _unselected(self.report.capture)
        else:
            self.notes += [problem for problem in self.report.problems if problem.awaits_setup]

    async def _try_gateway(self, settings: Config) -> None:
        address = settings.gateway.listen
        if address is not None:
            try:
                for opened in listen(address.host, address.port):
                    opened.close()
            except RtsError as error:
                self.notes.append(Problem(f"{error.message}.", "That is fine if it is rtsd itself."))
        await stages.gateway(settings, self.report)
        self.notes += self.report.warnings

    def _push_token(self) -> str:
        """Return the token that is there already, since the org may sign with it, or a new one."""
        with _refusing():
            try:
                return (self.places.secrets / PUSH_TOKEN).read_text().strip()
            except FileNotFoundError:
                return self.answers.push_token or random_token()
            except OSError as error:
                path = self.places.secrets / PUSH_TOKEN
                raise ConfigError(f"{path} cannot be read: {error.strerror}.", "Make it readable.") from error

    async def store(self) -> None:
        """Require a place that can be written to, and that has no mirror of another org. Raises Refused."""
        self.report.problems, self.notes = [], []
        with _refusing():
            settings = self._config()
            engine, directory = engine_of(settings), settings.store.path.parent
            try:
                if not is_url(self.answers.store) and _is_to_be_made(directory):
                    self.notes.append(Problem(f"{directory} is not there yet.", _MADE_LATER))
                else:
                    await stages.store(engine, settings, self.report)
                    await stages.own_mirror(engine, self.report)
            except RtsError as error:
                self.report.add(error)
        if self.report.problems:
            self.answers.store = ""  # no default for the next time
            raise Refused(self.report.problems)

    async def price(self) -> None:
        """Price the first audit and an idle day. Raises Refused."""
        with _refusing():
            await self._put_into_report(stages.price)
        self.notes = list(self.report.problems)

    async def _put_into_report(self, *checks: Callable[..., object]) -> None:
        settings = self._config()
        self.report.problems, self.report.warnings, self.notes = [], [], []
        async with self._client() as client:
            for check in checks:
                await check(client, settings, self.report)  # type: ignore[misc]

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        """Open a client with the login so far, which outlives the event loop of a trial."""
        if self._session is None:
            raise AssertionError("the login is tried first")
        version = self._config().org.api_version
        async with Client(self._session, self.counter, wall_ms, api_version=version) as client:
            yield client

    def _config(self) -> Config:
        """Return the answers so far as a configuration. Raises ConfigError."""
        answers = replace(self.answers, store=self.answers.store or str(self.places.mirror))
        return config.parse(answers.document(in_files=False), self.places.config)


def known_orgs() -> list[sf_cli.Org]:
    """Return the orgs that Salesforce CLI is logged in to; none if it is not there, or does not work."""
    if not sf_cli.is_installed():
        return []
    try:
        return asyncio.run(sf_cli.known_orgs())
    except RtsError:
        return []


def _unselected(found: CaptureReport) -> list[Problem]:
    """Return what is to be selected, and what is read as the org's allocation has no room for it."""
    missing = [shown.name for shown in found.objects if not shown.selected]
    late = [name for name in missing if name not in found.to_select]
    notes = []
    if found.to_select:
        names = " ".join(found.to_select)
        notes.append(
            Problem(
                "The objects are not selected in the org yet.", f"`rtsd stream enable {names}` selects them."
            )
        )
    if late:
        what = f"Read every five minutes instead: {', '.join(late)}."
        room = f"{plural(found.free, 'object', 'are')} free, of which the org uses {found.selected_in_org}"
        notes.append(Problem(what, f"{room}; the add-on of Change Data Capture allows more."))
    return notes


def address_of(text: str) -> str:
    """Return the login URL of an address as it was given. Raises Refused."""
    try:
        return my_domain.login_url(text)
    except ValueError as error:
        raise Refused([_mistake(error)]) from None


def _mistake(error: ValueError) -> Problem:
    """Return what a parser of the configuration says, `key: what is wrong; what is allowed`."""
    text = re.sub(r"^[a-z_]+[\w.\[\] ]*: ", "", str(error))  # the key is none that anybody has seen yet
    wrong, _, allowed = text.partition("; ")
    begin = "That " if wrong.startswith(_PREDICATES) else ""
    return Problem(f"{begin}{wrong}.", f"Allowed: {allowed}." if allowed else "")


def _is_to_be_made(directory: Path) -> bool:
    """Return whether a directory is missing, and can be made. Raises StorageUnwritable."""
    there = next(place for place in (directory, *directory.parents) if os.path.exists(place))  # noqa: PTH110
    if not there.is_dir():
        reason = f"{there} is not a directory"
    elif there != directory and not os.access(there, os.W_OK | os.X_OK):
        reason = f"{there} is not writable"
    else:
        return there != directory
    raise StorageUnwritable(
        f"{directory} cannot be created: {reason}.", "Name a place that this user may write to."
    )


_WORDS = {
    "org.login_url": "the address",
    "org.client_id": "the consumer key",
    "org.client_secret": "the consumer secret",
    "org.username": "the user",
    "org.private_key_file": "the file of the private key",
    "org.auth": "way to log in",
    "[[objects]]": "the names",
    "[store] url": "the URL",
    "[store]": "place",
}
"""Keys of a configuration that nobody has seen yet, as the questions call them."""


def _in_words(problem: Problem) -> Problem:
    do = problem.do
    for key, words in _WORDS.items():
        do = do.replace(key, words)
    return replace(problem, do=do)


class _refusing:  # noqa: N801 - used as a keyword
    """Turn errors of a trial into Refused."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ConfigError) and error.mistakes:
            raise Refused([_mistake(ValueError(mistake)) for mistake in error.mistakes]) from error
        if isinstance(error, RtsError):
            raise Refused([Problem(error.message, error.do)]) from error
