"""The trials of `rtsd init` against an org over HTTP: what is refused, what is found, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from rtsd.cli.check import price_lines
from rtsd.store import meta
from rtsd.sync.org import ORG_ID
from rtsd.workflows.setup.answers import Answers
from rtsd.workflows.setup.places import Places
from rtsd.workflows.setup.trials import Refused, Trials, address_of
from rtssim.process import SimulatedOrg
from tests.support.mirror import Mirror, sqlite_only
from tests.support.processes.rig import free_port
from tests.support.serving import served


@pytest.fixture
def trials(org: SimulatedOrg, tmp_path: Path) -> Trials:
    """Answers that work, of which a test spoils one."""
    answers = Answers(
        login_url=org.url,
        auth="client_credentials",
        client_id=org.info["client_id"],
        secret=org.info["client_secret"],
        objects=("Contact", "Account"),
        channel="none",
    )
    return Trials(answers, Places(tmp_path / "rtsd.toml", tmp_path / "state", tmp_path / "rtsd.sock"))


def told(refused: pytest.ExceptionInfo[Refused]) -> str:
    """All that was said about an answer."""
    return "\n".join(f"{problem.what} {problem.do}" for problem in refused.value.problems)


async def test_good_answers_cost_few_calls_all_of_them_counted(org: SimulatedOrg, trials: Trials) -> None:
    """One login for all trials; an object that is known already is not described again."""
    await trials.address()
    await trials.login()
    trials.answers.objects = ("Contact",)
    await trials.objects()
    before = trials.counter.calls
    trials.answers.objects = ("Account", "contact")
    await trials.objects()
    assert trials.counter.calls - before == 3
    assert trials.answers.objects == ("Account", "Contact")
    await trials.channel()
    await trials.store()
    await trials.price()
    assert trials.report.problems == []
    assert trials.report.cost is not None
    assert trials.report.cost.rows == 150
    assert next(price_lines(trials.report)).endswith("API calls a day by Interval Sync")
    assert trials.counter.calls <= 15
    limits = trials.report.limits["DailyApiRequests"]
    assert trials.counter.calls - (limits.maximum - limits.remaining) == 1  # userinfo is none of the API's
    assert org.server is not None
    assert org.server.accounts.logins == 1


async def test_an_address_that_is_not_salesforces(trials: Trials) -> None:
    """Nobody there, somebody else there, and a host that leads on; a refused address is no default."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>Welcome</html>")

    async def elsewhere(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "https://acme.my.salesforce.com/"})

    trials.answers.login_url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Refused, match="Connection refused"):
        await trials.address()
    assert trials.answers.login_url == ""
    for handler, wanted in ((page, "is not a Salesforce org"), (elsewhere, "leads on to https://acme.my")):
        async with served(handler) as url:
            trials.answers.login_url = url
            with pytest.raises(Refused, match=wanted):
                await trials.address()
    with pytest.raises(Refused, match=r"login.salesforce.com is every org's"):
        address_of("login.salesforce.com")


async def test_an_address_whose_versions_need_a_login(org: SimulatedOrg, trials: Trials) -> None:
    """It answers as Salesforce does, which is enough."""
    assert org.server is not None
    org.server.switches.versions_need_auth = True
    await trials.address()
    assert trials.answers.login_url == org.url


async def test_each_way_to_log_in(org: SimulatedOrg, trials: Trials) -> None:
    """A key, an SFDX authorization URL, and what is wrong with a URL of another org."""
    info, answers = org.info, trials.answers
    answers.auth, answers.username, answers.secret = "jwt", info["username"], info["private_key"]
    await trials.login()
    assert trials.report.user == info["username"]
    answers.auth, answers.client_id = "sfdx_url", ""
    parts = f"{info['client_id']}:{info['client_secret']}:{info['refresh_token']}"
    answers.secret = f"force://{parts}@{org.url[7:]}"
    await trials.login()
    assert trials.report.org is not None
    assert "login_url" not in answers.document(in_files=True)["org"]
    answers.secret = f"force://{parts}@beta.my.salesforce.com"
    with pytest.raises(Refused, match=r"is of beta.my.salesforce.com, not of http://127"):
        await trials.login()
    answers.secret = "https://acme.my.salesforce.com"
    with pytest.raises(Refused) as refused:
        await trials.login()
    assert "That is not an SFDX authorization URL" in told(refused)
    assert "sf org auth show-sfdx-auth-url" in told(refused)


async def test_a_refusal_speaks_of_what_was_asked(trials: Trials) -> None:
    """Not of keys of a configuration that nobody has seen yet."""
    trials.answers.secret = "wrong"
    with pytest.raises(Refused) as refused:
        await trials.login()
    assert "Check the consumer key and the consumer secret." in told(refused)
    trials.answers.secret = ""
    with pytest.raises(Refused):
        await trials.login()


async def test_objects_that_cannot_be_mirrored_are_all_named(trials: Trials) -> None:
    """Each with the object that may be meant, and those that can are kept."""
    await trials.login()
    trials.answers.objects = ("Contct", "Account", "Acount")
    with pytest.raises(Refused) as refused:
        await trials.objects()
    assert "Did you mean Contact?" in told(refused)
    assert "Did you mean Account?" in told(refused)
    assert [found.name for found in trials.report.objects] == ["Account"]


async def test_an_org_without_apex_takes_no_package(org: SimulatedOrg, trials: Trials) -> None:
    """Professional Edition: stream and gateway are refused, reading is not."""
    assert org.server is not None
    org.server.org.database.execute("UPDATE Organization SET OrganizationType = 'Professional Edition'")
    await trials.login()
    await trials.objects()
    trials.answers.channel, trials.answers.public_url = "gateway", "https://rts.acme.com"
    with pytest.raises(Refused, match="runs no Apex"):
        await trials.channel()
    trials.answers.channel = "none"
    await trials.channel()


async def test_a_gateway_whose_address_is_taken_is_a_note(org: SimulatedOrg, trials: Trials) -> None:
    """It may be rtsd itself; an address that does not answer yet is one, too."""
    await trials.login()
    await trials.objects()
    trials.answers.channel = "gateway"
    trials.answers.public_url = f"http://127.0.0.1:{free_port()}"
    trials.answers.listen = org.url[7:]
    await trials.channel()
    notes = "\n".join(note.what for note in trials.notes)
    assert "cannot listen on 127.0.0.1" in notes
    assert "cannot be reached from here" in notes
    assert "The package is not in the org yet" in notes
    for url, wanted in (
        ("", "public_url"),
        ("rts.acme.com", "'rts.acme.com' is not a URL. Allowed: https://"),
    ):
        trials.answers.public_url = url
        with pytest.raises(Refused) as refused:
            await trials.channel()
        assert wanted in told(refused)


@sqlite_only("a database of a test has schemas of its own; tests/e2e/test_init.py has one to itself")
async def test_the_store_may_be_new_or_this_orgs(mirror: Mirror, trials: Trials, path: Path) -> None:
    """A mirror of another org is refused, and nothing is left of a trial."""
    await trials.login()
    trials.answers.store = str(path.parent / "new" / "deep" / "mirror.db")
    before = path.parent.stat().st_mtime_ns
    await trials.store()
    assert not (path.parent / "new").exists()
    assert path.parent.stat().st_mtime_ns == before, "made and removed"
    assert [note.what for note in trials.notes] == [f"{path.parent / 'new' / 'deep'} is not there yet."]
    assert "when the configuration is written" in trials.notes[0].do
    trials.answers.store = str(path)
    async with await mirror.engine().open() as database, database.transaction() as tx:
        await meta.put(tx, ORG_ID, "00D000000000001AAA")
    with pytest.raises(Refused, match="has the mirror of another org, 00D000000000001AAA"):
        await trials.store()
    assert trials.notes == []


async def test_a_store_that_cannot_be_written(trials: Trials) -> None:
    """A directory that cannot be created, and a database that does not answer."""
    await trials.login()
    nobody = "postgresql://rts@127.0.0.1:1/x"
    for place, wanted in (("/dev/null/x/mirror.db", "cannot be created"), (nobody, "127.0.0.1")):
        trials.answers.store = place
        with pytest.raises(Refused) as refused:
            await trials.store()
        assert wanted in told(refused)
        assert trials.answers.store == ""
