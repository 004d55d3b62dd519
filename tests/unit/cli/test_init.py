"""`rtsd init` before it asks anybody: flags, files that are there, and what it would write."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsd import config
from rtsd.errors import ConfigError
from rtsd.workflows.setup.answers import Answers, toml
from rtsd.workflows.setup.places import SYSTEM, Places
from rtsd.workflows.setup.trials import Refused, Trials
from rtsd.workflows.setup.writing import write
from tests.support.cli import Rtsd

FLAGS = {
    "--login-url": "https://acme.my.salesforce.com",
    "--auth": "client_credentials",
    "--client-id": "3MVG9",
    "--client-secret-file": "secret",
    "--object": "Contact",
    "--channel": "none",
    "--store": "mirror.db",
}
ANSWERS = Answers(
    login_url="https://acme.my.salesforce.com",
    auth="client_credentials",
    client_id="3MVG9",
    secret="s3cr3t-of-the-app",
    objects=("Contact", "Invoice__c"),
    channel="gateway",
    public_url="https://rts.acme.com",
    push_token="a-push-token-of-the-org",
    store="/var/lib/rtsd/mirror.db",
)


def words(flags: dict[str, str]) -> list[str]:
    """The flags as words of a command line."""
    return [word for flag in flags.items() for word in flag]


def places(home: Path) -> Places:
    """Everything in one directory."""
    return Places(home / "etc" / "rtsd.toml", home / "state", home / "rtsd.sock")


@pytest.mark.parametrize("missing", [name for name in FLAGS if name != "--store"])
def test_yes_names_the_flag_that_is_missing(missing: str, rtsd: Rtsd) -> None:
    """It asks nothing, so every question without a default has to be answered."""
    ended = rtsd("init", "--yes", *words({name: value for name, value in FLAGS.items() if name != missing}))
    assert ended.status == 2
    assert f"--yes asks nothing, and there is no {missing}." in ended.err


def test_what_an_answer_needs_is_named_with_it(rtsd: Rtsd) -> None:
    """A gateway its address, and each login what it takes, all at once."""
    others = {name: value for name, value in FLAGS.items() if name not in {"--auth", "--client-id"}}
    ended = rtsd("init", "--yes", *words(others | {"--auth": "jwt", "--channel": "gateway"}))
    assert "no --client-id, --username, --private-key-file, --public-url." in ended.err
    assert "--sfdx-url-file" in rtsd("init", "--yes", "--auth", "sfdx_url").err
    assert "--login-url" not in rtsd("init", "--yes", "--auth", "sf").err


def test_without_a_terminal_it_cannot_ask(rtsd: Rtsd) -> None:
    """A script is told which flag makes it ask nothing."""
    ended = rtsd("init")
    assert (ended.status, "--yes" in ended.err) == (2, True)


def test_a_configuration_that_is_there_is_not_overwritten(tmp_path: Path, rtsd: Rtsd) -> None:
    """Without --force nothing is replaced, and nobody is asked for a login."""
    there = tmp_path / "rtsd.toml"
    there.write_text("# mine")
    ended = rtsd("init", "--yes", "-c", str(there), *words(FLAGS))
    assert (ended.status, "--force" in ended.err) == (2, True)
    assert there.read_text() == "# mine"


def test_the_configuration_is_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rtsd: Rtsd
) -> None:
    """As every other command finds it, without -c."""
    there = tmp_path / "rtsd.toml"
    there.write_text("# mine")
    monkeypatch.setenv("RTSD_CONFIG", str(there))
    assert f"{there} exists" in rtsd("init", "--yes", *words(FLAGS)).err
    assert Places.of(there).is_default


def test_what_is_written_is_what_was_answered(tmp_path: Path) -> None:
    """The file loads, with secrets from files that others cannot read."""
    where = places(tmp_path)
    written = write(where, toml(ANSWERS.document(in_files=True)), ANSWERS.secrets(), ANSWERS.store)
    assert [path.name for path in written] == ["sf-secret", "push-token", "rtsd.toml"]
    assert [path.stat().st_mode & 0o777 for path in written] == [0o600, 0o600, 0o600]
    assert sorted(path.name for path in where.config.parent.iterdir()) == sorted(
        path.name for path in written
    )
    loaded = config.load(where.config, {})
    assert loaded.org.client_secret == config.Secret("s3cr3t-of-the-app")
    assert loaded.hmac_keys == (b"a-push-token-of-the-org",)
    assert [section.name for section in loaded.objects] == ["Contact", "Invoice__c"]
    assert loaded.gateway.public_url == "https://rts.acme.com"
    assert "s3cr3t" not in where.config.read_text()


def test_what_cannot_be_loaded_is_not_put_in_place(tmp_path: Path) -> None:
    """The files are checked as a whole before one of them is moved."""
    where = places(tmp_path)
    with pytest.raises(ConfigError, match="1 mistake"):
        write(
            where, toml(ANSWERS.document(in_files=True)) + "\n[sync]\nlookback = 7\n", ANSWERS.secrets(), ""
        )
    assert list(where.config.parent.iterdir()) == []


@pytest.mark.parametrize("channel", ["stream", "gateway", "cdc", "none"])
@pytest.mark.parametrize("auth", ["client_credentials", "jwt", "sf", "sfdx_url"])
def test_every_combination_of_answers_is_a_configuration(auth: str, channel: str, tmp_path: Path) -> None:
    """No answer leads to a file that `rtsd run` refuses."""
    url = "force://PlatformCLI::5Aep861.token@acme.my.salesforce.com"
    answers = Answers(
        **{**vars(ANSWERS), "auth": auth, "channel": channel, "username": "acme"}
        | ({"secret": url} if auth == "sfdx_url" else {})
    )
    if auth == "sf":
        answers.secret = ""
    where = places(tmp_path)
    write(where, toml(answers.document(in_files=True)), answers.secrets(), answers.store)
    loaded = config.load(where.config, {})
    assert (loaded.org.auth, loaded.push.channel) == (auth, "" if channel == "none" else channel)
    assert (loaded.gateway.listen is not None) == (channel == "gateway")


async def test_a_service_has_what_its_unit_loads(tmp_path: Path) -> None:
    """A push token on any channel, and no login of one user."""
    trials = Trials(Answers(auth="sf", username="acme"), Places(SYSTEM / "rtsd.toml", tmp_path, None))
    with pytest.raises(Refused, match="A service cannot use the login of Salesforce CLI"):
        await trials.login()


def test_root_has_the_places_of_the_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secrets where the unit loads them from, and the default socket; another user has XDG's."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    found = Places.of(None)
    assert (found.config, found.secrets) == (Path("/etc/rtsd/rtsd.toml"), Path("/etc/rtsd/credentials"))
    assert (found.state, found.socket, found.is_service) == (Path("/var/lib/rtsd"), None, True)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for name in ("CONFIG_HOME", "STATE_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    own = Places.of(None)
    assert (own.config, own.secrets) == (
        tmp_path / "CONFIG_HOME/rtsd/rtsd.toml",
        tmp_path / "CONFIG_HOME/rtsd",
    )
    assert (own.state, own.socket) == (tmp_path / "STATE_HOME/rtsd", tmp_path / "RUNTIME_DIR/rtsd/rtsd.sock")
    assert Places.of(tmp_path / "mine.toml").config == tmp_path / "mine.toml"
