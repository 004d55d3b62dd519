"""The five questions of `rtsd init`: how each is asked, tried, and what it has found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rtsd.cli.talk import INDENT, Option, Talk
from rtsd.config.engine import is_url, without_password
from rtsd.core.extras import how_to_add
from rtsd.core.plural import plural
from rtsd.core.problem import Problem
from rtsd.core.spelling import alike
from rtsd.daemon.stream import missing_package
from rtsd.salesforce import sf_cli
from rtsd.workflows.setup.answers import SECRET_OF
from rtsd.workflows.setup.trials import Refused, Trials, address_of

USUAL = ("Account", "Contact", "Lead", "Opportunity")
MOST_SECRET_BYTES = 1 << 20


def read_secret(path: Path) -> str:
    """Return the text of a file that a person names. Raises Refused."""
    try:
        with path.expanduser().open() as file:
            text = file.read(MOST_SECRET_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Refused(
            [Problem(f"{path} cannot be read: {reason}.", "Name a file with the secret.")]
        ) from None
    if not text:
        raise Refused([Problem(f"{path} is empty.", "Name a file with the secret.")])
    return text


@dataclass
class Question(ABC):
    """A question about `trials.answers`."""

    trials: Trials
    title = ""
    about = ""
    """The explanation that `?` prints."""

    @abstractmethod
    def ask(self, talk: Talk) -> None:
        """Ask, with what was answered before as the default. Raises Refused for what is no answer."""

    @abstractmethod
    async def try_out(self) -> None:
        """Try the answer. Raises Refused."""

    @abstractmethod
    def found(self) -> Iterator[str]:
        """Yield what the trial has found."""


@dataclass
class Address(Question):
    """Which org it is."""

    known: list[sf_cli.Org] = field(default_factory=list)
    """The orgs that Salesforce CLI is logged in to."""
    title = "Which org?"
    about = """
        Its My Domain: Setup, My Domain, Current My Domain URL. The address of any page of the org will do.
        A sandbox has an address of its own: acme--dev.sandbox.my.salesforce.com.
        The address is tried without a login."""

    def ask(self, talk: Talk) -> None:
        """Take an address, or the alias of an org that the CLI knows."""
        talk.say(f"{INDENT}Its My Domain, such as acme.my.salesforce.com.")
        for org in self.known:
            names = f"{org.alias} ({org.username})" if org.alias else org.username
            talk.say(f"{INDENT}Salesforce CLI is logged in to {names}: {org.instance_url.rstrip('/')}")
        answers = self.trials.answers
        only = self.known[0].instance_url.rstrip("/") if len(self.known) == 1 else ""
        text = talk.ask("Address", self.about, answers.login_url or only)
        named = next((org for org in self.known if text in (org.alias, org.username)), None)
        answers.login_url = address_of(named.instance_url if named else text)

    async def try_out(self) -> None:
        """Reach it."""
        if self.trials.answers.login_url:
            await self.trials.address()

    def found(self) -> Iterator[str]:
        """Say which API version will be used."""
        answers = self.trials.answers
        if answers.login_url:
            version = f", up to API version {answers.api_version}" if answers.api_version else ""
            yield f"{answers.login_url} is a Salesforce address{version}."


@dataclass
class Login(Question):
    """How rtsd logs in."""

    known: list[sf_cli.Org] = field(default_factory=list)
    title = "How does rtsd log in?"
    about = """
        client_credentials: an external client app of the org, for rtsd alone, that runs as a user of its own.
        Setup, External Client App Manager, New External Client App; enable OAuth, the scope api and the
        Client Credentials Flow, under Policies too, with the user under Run As. Consumer key and secret are
        under Settings, OAuth Settings. docs/salesforce.md, step 1, has every screen.
        jwt: the same app with a certificate instead of a secret, and a user whom it admits.
        sf: the login of Salesforce CLI, if this user has one. Good for a first try; a service cannot use it.
        sfdx_url: what `sf org auth show-sfdx-auth-url` prints, kept in a file of rtsd's own."""

    def ask(self, talk: Talk) -> None:
        """Ask for the way, then for what it needs."""
        answers = self.trials.answers
        here = [org for org in self.known if org.instance_url.rstrip("/") == answers.login_url]
        no_sf = "" if here else ("it is not logged in to this org" if self.known else "there is no sf")
        no_sf = "a service cannot use it" if self.trials.places.is_service else no_sf
        as_whom = f", as {here[0].username}" if here else ""
        options = [
            Option("client_credentials", "an app of the org, for rtsd alone: for a mirror that stays"),
            Option("jwt", "the same with a certificate instead of a secret"),
            Option("sf", f"the login of Salesforce CLI{as_whom}: for a first try", no_sf),
            Option("sfdx_url", "an SFDX authorization URL, of `sf org auth show-sfdx-auth-url`"),
        ]
        answers.auth = talk.choose(
            "Login",
            options,
            self.about,
            answers.auth or ("sf" if here and not no_sf else "client_credentials"),
        )
        self._ask_for_app(talk)
        if answers.auth == "jwt":
            answers.username = talk.ask("User to log in", self.about, answers.username)
            answers.secret = read_secret(Path(talk.ask("File of the private key (PEM)", self.about)))
        elif answers.auth == "sf":
            only = (here[0].alias or here[0].username) if len(here) == 1 else ""
            answers.username = only or talk.ask("Alias or user of sf", self.about, answers.username)
        elif answers.auth == "sfdx_url":
            answers.secret = talk.ask("SFDX authorization URL (hidden)", self.about, hidden=True)

    def _ask_for_app(self, talk: Talk) -> None:
        answers = self.trials.answers
        if answers.auth in ("client_credentials", "jwt"):
            answers.client_id = talk.ask("Consumer key", self.about, answers.client_id)
        if answers.auth == "client_credentials":
            answers.secret = talk.ask("Consumer secret (hidden)", self.about, answers.secret, hidden=True)

    async def try_out(self) -> None:
        """Log in."""
        answers = self.trials.answers
        if answers.auth not in ("client_credentials", "jwt"):
            answers.client_id = ""
        if answers.auth not in ("sf", "jwt"):
            answers.username = ""
        if answers.auth not in SECRET_OF:
            answers.secret = ""
        await self.trials.login()

    def found(self) -> Iterator[str]:
        """Say who logs in to which org."""
        report = self.trials.report
        if report.org is not None:
            org = report.org
            kind = {True: "a sandbox", False: "production", None: "sandbox or production"}[org.sandbox]
            apex = {True: "runs Apex", False: "runs no Apex", None: "Apex not known"}[report.apex]
            yield f"{report.user or 'user not known'} in {org.name or 'an org without a visible name'}"
            yield f"{org.edition or 'edition hidden'}, {kind}, {apex}"


class Objects(Question):
    """Which objects are mirrored."""

    title = "Which objects?"
    about = """
        The API names of the objects to mirror, with spaces between them: Account Contact Invoice__c.
        Every field and every row that the user can see is mirrored; [[objects]] can narrow that later.
        More objects can be added at any time."""

    def ask(self, talk: Talk) -> None:
        """Suggest the usual ones, or what a misspelt answer meant."""
        visible = self.trials.report.visible
        given = self.trials.answers.objects
        known = {name.lower() for name in visible}
        meant = [name if name.lower() in known else next(iter(alike(name, visible)), name) for name in given]
        default = " ".join(dict.fromkeys(meant or USUAL))
        text = talk.ask("Objects", self.about, default).replace(",", " ")
        self.trials.answers.objects = tuple(dict.fromkeys(text.split()))

    async def try_out(self) -> None:
        """Describe and count them."""
        await self.trials.objects()

    def found(self) -> Iterator[str]:
        """Say how many rows each has."""
        for checked in self.trials.report.objects:
            yield f"{checked.name}: {plural(checked.size.rows, 'row')}, {plural(checked.fields, 'field')}"


class Channel(Question):
    """How changes arrive."""

    title = "How do changes arrive?"
    about = """
        stream: a package of Apex publishes changes as events, and rtsd subscribes to them. Nothing has to
        reach this machine. gateway: the package posts changes here; that needs an https address that
        Salesforce can reach. cdc: Salesforce's Change Data Capture, without a package; five objects are free.
        none: rtsd reads what changed every five minutes, which costs API calls.
        rtsd checks and repairs the mirror by reading in any case. [push] channel can be changed later."""

    def ask(self, talk: Talk) -> None:
        """Suggest the best that this org and this installation can do."""
        apex = "" if self.trials.report.apex is not False else "the org's edition runs no Apex"
        extra = how_to_add("stream") if missing_package() else ""
        options = [
            Option(
                "stream", "the package publishes events: nothing has to reach this machine", apex or extra
            ),
            Option("gateway", "the package posts to an https address of this machine", apex),
            Option("cdc", "Change Data Capture, without a package: five objects are free", extra),
            Option("none", "rtsd reads every five minutes, through the API"),
        ]
        answers = self.trials.answers
        best = next(option.name for option in options if not option.hindrance and option.name != "gateway")
        answers.channel = talk.choose("Channel", options, self.about, answers.channel or best)
        if answers.channel == "gateway":
            answers.public_url = talk.ask(
                "Address that Salesforce posts to, such as https://rts.acme.com",
                self.about,
                answers.public_url,
            )

    async def try_out(self) -> None:
        """Try what can be tried before the package is in the org."""
        await self.trials.channel()

    def found(self) -> Iterator[str]:
        """Say what will bring the changes."""
        yield {
            "stream": "Changes will arrive as events of the package, encrypted, by the Pub/Sub API.",
            "gateway": f"Changes will arrive at {self.trials.answers.public_url}.",
            "cdc": "Changes will arrive by Change Data Capture.",
            "none": "Changes will be read every five minutes.",
        }[self.trials.answers.channel]


class Store(Question):
    """Where the mirror is kept."""

    title = "Where is the mirror kept?"
    about = """
        A file for SQLite, readable by any program on this machine, or a PostgreSQL database, as
        postgresql://user@host/database. A mirror in PostgreSQL can be shared by several rtsd and read over
        the network. `rtsd move` takes it from one to the other later."""

    def ask(self, talk: Talk) -> None:
        """Suggest the user's directory for state."""
        answers = self.trials.answers
        talk.say(f"{INDENT}A file (SQLite), or postgresql://user@host/database.")
        place = talk.ask("Store", self.about, answers.store or str(self.trials.places.mirror))
        answers.store = place if is_url(place) else str(Path(place).expanduser().absolute())
        if is_url(place):
            answers.store, password = without_password(place)
            answers.store_password = password or self._password(talk)

    def _password(self, talk: Talk) -> str:
        before = self.trials.answers.store_password
        password = talk.ask("Password (hidden; - is none)", self.about, before or "-", hidden=True)
        return "" if password == "-" else password  # noqa: S105 - the sign for none

    async def try_out(self) -> None:
        """Require that it can be written to."""
        await self.trials.store()

    def found(self) -> Iterator[str]:
        """Say that it can."""
        kind = "PostgreSQL" if is_url(self.trials.answers.store) else "SQLite"
        yield f"{kind} can be written to."


def questions(trials: Trials, known: Callable[[], list[sf_cli.Org]]) -> list[Question]:
    """Return the questions in their order; `known` asks Salesforce CLI which orgs it is logged in to."""
    orgs = known()
    return [Address(trials, orgs), Login(trials, orgs), Objects(trials), Channel(trials), Store(trials)]
