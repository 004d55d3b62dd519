"""`rtsd check` against an org over HTTP: what it finds, what it prices, and that it changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsd import config
from rtsd.cli.check import lines
from rtsd.config.credentials import replace_secret
from rtsd.workflows import check
from rtsd.workflows.demo.environment import start, until_answering
from rtssim.process import SimulatedOrg
from tests.support.mirror import Mirror

Load = Callable[..., config.Config]


@pytest.fixture
def load(org: SimulatedOrg, mirror: Mirror, tmp_path: Path) -> Load:
    """Write a configuration for the org, with `objects` at its end, and load it."""

    def write(
        objects: str = '[[objects]]\nname = "Contact"',
        secret: str | None = None,
        store: str = mirror.section(),
        login: str = "",
    ) -> config.Config:
        path = tmp_path / "rtsd.toml"
        path.write_text(
            f'[org]\nlogin_url = "{org.url}"\nclient_id = "{org.info["client_id"]}"\n'
            f'client_secret = "{secret or org.info["client_secret"]}"\n{login}'
            f'[gateway]\ntoken = "a token of 22 bytes..."\n[store]\n{store}\n{objects}\n'
        )
        path.chmod(0o600)
        return config.load(path, {})

    return write


async def test_what_waiting_for_the_package_costs_is_told_before_it_is_there(
    org: SimulatedOrg, load: Load
) -> None:
    """And no more under the line that says that it is installed."""
    waits = "until the package is in the org"
    assert waits in "\n".join(lines(await check.inspect(load())))
    await org.control("package/install")
    told = "\n".join(lines(await check.inspect(load())))
    assert "package   installed" in told
    assert waits not in told


async def test_a_good_configuration_has_no_problems(org: SimulatedOrg, load: Load, tmp_path: Path) -> None:
    """Org, user, package and rows are shown; nothing was written here."""
    report = await check.inspect(load('[[objects]]\nname = "Contact"\n[[objects]]\nname = "Account"'))
    assert report.problems == []
    assert report.warnings == []
    assert report.org is not None
    assert report.org.id == org.info["org_id"]
    assert report.apex is True
    assert report.user == org.info["username"]
    assert report.package == "missing"
    assert {inspected.name: inspected.size.rows for inspected in report.objects} == {
        "Contact": 120,
        "Account": 30,
    }
    document = report.document()
    assert document["estimate"]["rows"] == 150
    assert document["estimate"]["bulk_jobs"] == 2
    assert document["estimate"]["share_of_daily"]["DailyApiRequests"] > 0
    assert os.listdir(tmp_path) == ["rtsd.toml"]  # noqa: PTH208 - a Path may not be asked in a coroutine


async def test_all_that_is_wrong_in_the_org_is_told_at_once(org: SimulatedOrg, load: Load) -> None:
    """A misspelt object, a hidden field, an unknown and a compound condition, each with what to do."""
    await org.control("visibility", {"hidden_fields": ["Contact.Phone"]})
    report = await check.inspect(
        load(
            '[[objects]]\nname = "Acount"\n[[objects]]\nname = "Contact"\nfields = ["Phone"]\n'
            '[[objects]]\nname = "Account"\nconditions = ["Emal"]\n'
            '[[objects]]\nname = "Lead"\nconditions = ["Address"]'
        )
    )
    found = [problem.what for problem in report.problems]
    assert found[0].endswith("hides it from the sync user. Did you mean Account?")
    assert "Contact has no field Phone" in found[1]
    assert "conditions of Account name Emal" in found[2]
    assert "Address is a compound field: name Street, City" in found[3]
    assert all(problem.do for problem in report.problems)


async def test_a_refused_login_is_a_problem_with_salesforces_reason(load: Load) -> None:
    """What the org said, and which keys to look at; there is no price."""
    report = await check.inspect(load(secret="wrong"))
    (problem,) = report.problems
    assert "invalid_client" in problem.what
    assert "org.client_secret" in problem.do
    assert report.document()["estimate"] is None


async def test_too_little_quota_is_a_problem(org: SimulatedOrg, load: Load) -> None:
    """The first audit would eat into the reserve: it is said before, not found out after."""
    await org.control("limits", {"DailyApiRequests": 20})
    report = await check.inspect(load())
    (problem,) = report.problems
    assert "of DailyApiRequests, " in problem.what
    assert "available today" in problem.what


async def test_a_database_that_does_not_answer_is_a_problem(load: Load) -> None:
    """The database is looked at, and no directory, whatever `path` would be."""
    report = await check.inspect(load(store='url = "postgresql://rts:pw@127.0.0.1:1/acme"'))
    (problem,) = report.problems
    assert problem.what.startswith("postgresql://rts@127.0.0.1:1/acme does not answer")


async def test_a_missing_directory_is_a_problem(load: Load, tmp_path: Path) -> None:
    """The store's directory is looked at before the daemon fails over it."""
    report = await check.inspect(load(store='path = "none/mirror.db"'))
    assert report.problems[0].what == f"{tmp_path}/none, the directory of [store] path, does not exist."


async def test_a_table_in_the_place_of_a_view_is_a_problem(load: Load, mirror: Mirror) -> None:
    """The start would fail over it: its name, and what to do."""
    async with await mirror.engine().open() as database, database.transaction() as tx:
        for statement in mirror.occupied("Contact"):
            await tx.execute(statement)
    layouts = f'[store.views]\nheroku_connect = "{mirror.views}"\n[[objects]]\nname = "Contact"'
    (problem,) = (await check.inspect(load(layouts))).problems
    assert f"{mirror.view('Contact')} is a table that rtsd did not make" in problem.what
    assert "[store.views]" in problem.do


async def test_the_price_is_near_the_bill() -> None:
    """What check says a load will cost is within 20 % of the calls the org counts for it."""
    async with start(None, {"Contact": 1_500, "Lead": 500}, silence_ms=60_000) as scene:
        await until_answering(scene)
        status = await scene.status()
        while any(mirrored.state != "live" for mirrored in status.objects):
            status = await scene.status()
        bill = (await scene.org.stats())["api_calls"]
        report = await check.inspect(config.load(scene.directory / "rtsd.toml", {}))
    assert report.cost is not None
    # on a busy machine a bulk job is polled a few times more
    assert report.cost.api_calls == pytest.approx(bill, rel=0.2, abs=5)


def test_a_rotated_token_replaces_its_file(tmp_path: Path) -> None:
    """The new text is there, for its owner only, and nothing beside it."""
    path = tmp_path / "refresh"
    path.write_text("old")
    replace_secret(path, "new")
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


async def test_a_program_that_is_not_there_is_a_problem(load: Load) -> None:
    """What an alert starts is looked for; what is there is none."""
    told = "".join(
        f'[[alerts]]\non = ["silent"]\ncommand.argv = ["{program}"]\n'
        for program in ("/nowhere/pager", "/bin/sh")
    )
    report = await check.inspect(load(f'[[objects]]\nname = "Contact"\n{told}'))
    assert [problem.what.split(",")[0] for problem in report.problems] == ["/nowhere/pager"]


async def test_a_login_that_salesforce_ends_is_warned_of(org: SimulatedOrg, load: Load) -> None:
    """It works today, so it is no problem: the exit status stays 0."""
    name, password = org.info["username"], org.info["password"]
    report = await check.inspect(
        load(login=f'auth = "password"\nusername = "{name}"\npassword = "{password}"\n')
    )
    assert report.problems == []
    (warning,) = report.document()["warnings"]
    assert "20 February 2027" in warning["what"]
    assert "client_credentials" in warning["do"]
