"""`rtsd init`: a configuration from five answers, each tried when it is given."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from rtsd import logs
from rtsd.cli import options
from rtsd.core.plural import plural
from rtsd.errors import UsageError

if TYPE_CHECKING:
    from rtsd.cli.questions import Question
    from rtsd.cli.talk import Talk
    from rtsd.core.problem import Problem
    from rtsd.workflows.setup.places import Places
    from rtsd.workflows.setup.trials import Trials

T = TypeVar("T", bound=Callable[..., object])
Given = Mapping[str, Any]
"""The flags, by their parameter names; None or () where one was not given."""

_LOGINS = ("client_credentials", "jwt", "sf", "sfdx_url")
_CHANNELS = ("stream", "gateway", "cdc", "none")
_PATH = click.Path(path_type=Path, dir_okay=False)
_NEEDED = {
    "client_credentials": ("login_url", "client_id", "client_secret_file"),
    "jwt": ("login_url", "client_id", "username", "private_key_file"),
    "sf": ("username",),
    "sfdx_url": ("sfdx_url_file",),
}
_FLAGS = (
    click.option("--login-url", metavar="URL", help="1: the org's My Domain address."),
    click.option("--auth", type=click.Choice(_LOGINS), help="2: how rtsd logs in."),
    click.option("--client-id", metavar="KEY", help="2: the app's consumer key."),
    click.option("--client-secret-file", type=_PATH, help="2: a file with its consumer secret."),
    click.option("--username", metavar="USER", help="2: with jwt the user, with sf an alias or a user."),
    click.option("--private-key-file", type=_PATH, help="2: with jwt, the key (PEM)."),
    click.option("--sfdx-url-file", type=_PATH, help="2: with sfdx_url, the URL."),
    click.option("--object", "objects", multiple=True, metavar="NAME", help="3: an object; repeatable."),
    click.option("--channel", type=click.Choice(_CHANNELS), help="4: how changes arrive."),
    click.option("--public-url", metavar="URL", help="4: with gateway, where Salesforce posts to."),
    click.option("--listen", metavar="HOST:PORT", help="4: with gateway, where rtsd listens."),
    click.option("--endpoint", metavar="HOST:PORT", help="4: another address of the Pub/Sub API."),
    click.option("--store", metavar="PLACE", help="5: a file (default), or postgresql://user@host/database."),
    click.option("--store-password-file", type=_PATH, help="5: a file with the database's password."),
)


def _flags(command: T) -> T:
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


@click.command(
    epilog=options.examples(
        "rtsd init",
        "rtsd init -c ./rtsd.toml",
        "rtsd init --yes --login-url acme.my.salesforce.com --auth client_credentials \\\n"
        "    --client-id 3MVG9… --client-secret-file secret --object Contact --object Lead \\\n"
        "    --channel stream --store /var/lib/rtsd/mirror.db",
    )
)
@click.option(
    "-c",
    "--config",
    "config_path",
    type=_PATH,
    envvar="RTSD_CONFIG",
    metavar="FILE",
    help="Where to write; else $RTSD_CONFIG, root's /etc/rtsd/rtsd.toml, a user's ~/.config/rtsd/rtsd.toml.",
)
@_flags
@click.option("--yes", is_flag=True, help="Ask nothing: every question is answered by its flags.")
@click.option("--force", is_flag=True, help="With --yes: replace a configuration that is there.")
@options.as_json
def init(*, config_path: Path | None, yes: bool, force: bool, as_json: bool, **given: Any) -> int:
    """Write a configuration from five answers, each tried when it is given.

    Asks for the org, the login, the objects, the channel and the store; reads a few rows, counts the API
    calls, and changes nothing in the org. Then writes rtsd.toml and its secret files (0600): root's are the
    service's, in /etc/rtsd, a user's are in ~/.config/rtsd. Exit status 1 when an answer does not work.
    """
    if yes:
        _require_all(given)
    elif not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on.", "Give --yes, and the answers as flags.")
    logs.setup("error", "text")
    from rtsd.cli.talk import Talk  # noqa: PLC0415 - half a second of imports, after mistakes are reported
    from rtsd.workflows.setup.answers import Answers  # noqa: PLC0415
    from rtsd.workflows.setup.places import Places  # noqa: PLC0415
    from rtsd.workflows.setup.trials import Refused, Trials  # noqa: PLC0415

    places, talk = Places.of(config_path), Talk(err=as_json)
    answers = Answers(socket=places.socket, endpoint=given["endpoint"] or "")
    answers.listen = given["listen"] or answers.listen
    trials = Trials(answers, places)
    try:
        if not _may_write(places, talk, yes=yes, force=force):
            return 1
        _answer_all(trials, given, talk, yes=yes)
        written = _written(trials)
    except Refused as refused:
        talk.refused(refused.problems)
        if as_json:
            click.echo(msgspec.json.encode(_document(trials, [], refused.problems)))
        return 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nNothing was written.", err=True)
        raise
    if as_json:
        click.echo(msgspec.json.encode(_document(trials, written)))
    else:
        _show_end(trials, written, talk)
    return 0


def _require_all(given: Given) -> None:
    """Raise UsageError for questions that no flag answers, and that have no default."""
    needed = ["auth", *_NEEDED.get(given["auth"], ("login_url",)), "objects", "channel"]
    if given["channel"] == "gateway":
        needed.append("public_url")
    missing = [
        "--" + name.replace("objects", "object").replace("_", "-") for name in needed if not given[name]
    ]
    if missing:
        raise UsageError(
            f"--yes asks nothing, and there is no {', '.join(missing)}.", "Give these flags, too."
        )


def _may_write(places: Places, talk: Talk, *, yes: bool, force: bool) -> bool:
    """Return whether what is there may be replaced. Raises UsageError where nobody can be asked."""
    from rtsd.workflows.setup.answers import SF_SECRET, STORE_PASSWORD  # noqa: PLC0415 - see above

    files = (places.config, places.secrets / SF_SECRET, places.secrets / STORE_PASSWORD)
    there = [path for path in files if path.exists()]
    if not there or (yes and force):
        return True
    listed = f"{' and '.join(map(str, there))} {'exists' if len(there) == 1 else 'exist'}"
    if yes:
        raise UsageError(f"{listed}.", "Replace with --force, or name another file with -c.")
    return click.confirm(f"{listed}. Replace?", err=talk.is_err)


def _answer_all(trials: Trials, given: Given, talk: Talk, *, yes: bool) -> None:
    """Ask and try every question. Raises Refused if a flag's answer does not work and nobody can be asked."""
    from rtsd.cli.questions import questions  # noqa: PLC0415 - see above
    from rtsd.workflows.setup.trials import Refused, known_orgs  # noqa: PLC0415

    if not yes:
        talk.say(f"This writes {trials.places.config}. Each answer is tried at once.")
        talk.say(
            "? explains a question, Enter takes what is in [brackets], Ctrl-C leaves everything as it is."
        )
    asked = questions(trials, list if yes else known_orgs)
    for number, question in enumerate(asked, 1):
        if not yes:
            talk.say()
            talk.say(f"{number}/{len(asked)}  {question.title}")
        is_given = yes or _is_given(number, given)
        while True:
            try:
                if is_given:
                    _take(number, given, trials)
                else:
                    question.ask(talk)
                logs.conceal(trials.answers.secrets().values())
                asyncio.run(question.try_out())
            except Refused as refused:
                if yes:
                    raise
                talk.refused(refused.problems)
                is_given = False
            else:
                break
        _tell(question, talk)


def _tell(question: Question, talk: Talk) -> None:
    for line in question.found():
        talk.found(line)
    for problem in question.trials.notes:
        talk.note(problem)
    question.trials.notes = []


_OF_QUESTION = {
    1: ("login_url",),
    2: ("auth",),
    3: ("objects",),
    4: ("channel",),
    5: ("store",),
}
"""The flags that answer each question; the login needs more, by its kind."""


def _is_given(number: int, given: Given) -> bool:
    names = _OF_QUESTION[number] if number != 2 else ("auth", *_NEEDED.get(given["auth"], ()))
    return all(given[name] for name in names if name != "login_url" or number == 1)


def _take(number: int, given: Given, trials: Trials) -> None:
    """Take a question's answer from its flags. Raises Refused for files that cannot be read."""
    from rtsd.cli.questions import read_secret  # noqa: PLC0415 - see above
    from rtsd.config.engine import is_url, without_password  # noqa: PLC0415
    from rtsd.workflows.setup.trials import address_of  # noqa: PLC0415

    answers = trials.answers
    if number == 1:
        answers.login_url = address_of(given["login_url"]) if given["login_url"] else ""
    elif number == 2:
        answers.auth = given["auth"]
        answers.client_id, answers.username = given["client_id"] or "", given["username"] or ""
        file = next((name for name in _NEEDED[answers.auth] if name.endswith("_file")), "")
        answers.secret = read_secret(given[file]) if file else ""
    elif number == 3:
        answers.objects = tuple(dict.fromkeys(given["objects"]))
    elif number == 4:
        answers.channel, answers.public_url = given["channel"], given["public_url"] or ""
    else:
        place, password = without_password(given["store"] or str(trials.places.mirror))
        answers.store = place if is_url(place) else str(Path(place).expanduser().absolute())
        file = given["store_password_file"]
        answers.store_password = read_secret(file) if file else password


def _written(trials: Trials) -> list[Path]:
    """Price what was answered, and write the files."""
    from rtsd.workflows.setup.answers import toml  # noqa: PLC0415 - see above
    from rtsd.workflows.setup.writing import write  # noqa: PLC0415

    asyncio.run(trials.price())
    answers = trials.answers
    return write(trials.places, toml(answers.document(in_files=True)), answers.secrets(), answers.store)


def _next(trials: Trials) -> Iterator[tuple[str, str]]:
    """Yield the next commands, each with what it is for."""
    from rtsd.config.engine import is_url  # noqa: PLC0415 - see above
    from rtsd.workflows.setup.answers import STORE_PASSWORD  # noqa: PLC0415

    answers, places = trials.answers, trials.places
    named = "" if places.is_default else f" -c {places.config}"
    if answers.is_pushed:
        yield f"rtsd package deploy{named}", "puts the package into the org"
    elif trials.report.capture is not None and trials.report.capture.to_select:
        names = " ".join(trials.report.capture.to_select)
        yield f"rtsd stream enable {names}{named}", "selects objects for Change Data Capture"
    yield f"rtsd check{named}", "tests all of it once more"
    if places.is_service:
        yield "rtsd service install", "puts rtsd under systemd"
        if is_url(answers.store) and answers.store_password:
            file = f"{STORE_PASSWORD}:{places.secrets / STORE_PASSWORD}"
            yield "systemctl edit rtsd", f"needs [Service] LoadCredential={file}"
        yield "systemctl enable --now rtsd", "starts it"
    else:
        yield f"rtsd run{named}", "the daemon; the first audit begins at once"
    socket = f" --socket {places.socket}" if places.needs_socket else ""
    yield f"rtstui{socket}", "shows it live; rtsd status once"


def _document(
    trials: Trials, written: Sequence[Path], refused: Sequence[Problem] | None = None
) -> dict[str, Any]:
    """Return what was found and written as JSON; with `refused`, why nothing was."""
    answers, found = trials.answers, trials.report.document()
    if refused is not None:
        found["problems"] = [{"what": problem.what, "do": problem.do} for problem in refused]
    return {
        "written": [str(path) for path in written],
        **found,
        "channel": answers.channel,
        "store": answers.store,
        "api_calls": trials.counter.calls,
        "next": [command for command, _ in _next(trials)] if written else [],
    }


def _show_end(trials: Trials, written: Sequence[Path], talk: Talk) -> None:
    from rtsd.cli.check import price_lines  # noqa: PLC0415 - see above

    talk.say()
    for line in price_lines(trials.report):
        talk.say(line)
    talk.say()
    for path in written:
        talk.say(f"wrote {path}")
    talk.say(f"This took {plural(trials.counter.calls, 'API call')}.")
    talk.say()
    talk.say("Next:")
    steps = list(_next(trials))
    width = max(len(command) for command, _ in steps)
    for command, purpose in steps:
        talk.say(f"  {command:{width}}  # {purpose}")
