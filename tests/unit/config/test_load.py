"""The configuration as a whole: defaults, and every mistake at once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from rtsd import config
from rtsd.config.mistakes import model_in
from rtsd.daemon import fanout
from rtsd.errors import ConfigError

Load = Callable[..., config.Config]
Mistakes = Callable[..., tuple[str, ...]]

SHIPPED = Path(__file__).parents[3] / "config" / "rtsd.toml"


def load_shipped(tmp_path: Path, text: str) -> config.Config:
    """Load `text` with the secrets that the shipped configuration names."""
    for name in ("sf-secret", "push-token"):
        (tmp_path / name).write_text("a secret of 22 bytes..")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "rtsd.toml"
    path.write_text(text)
    path.chmod(0o600)
    return config.load(path, {})


def test_the_shipped_file_shows_the_defaults(tmp_path: Path) -> None:
    """config/rtsd.toml with every commented default switched on is the same configuration."""
    text = SHIPPED.read_text()
    shown = re.sub(r"(?m)^#(?=\w+ = )", "", text)
    assert shown.count("\n") == text.count("\n")
    assert len(re.findall(r"(?m)^#\w", text)) >= 25
    assert load_shipped(tmp_path, text) == load_shipped(tmp_path, shown)


def test_the_shipped_examples_load(tmp_path: Path) -> None:
    """The indented examples are right too."""
    loaded = load_shipped(tmp_path, re.sub(r"(?m)^#   ", "", SHIPPED.read_text()))
    assert loaded.quota.daily.api_requests == 5000
    assert loaded.objects[0].privacy == {"Phone": "hash"}
    assert loaded.rules[0].webhook is not None
    assert loaded.alerts[0].command is not None


def test_the_shipped_file_has_every_key() -> None:
    """A key added to the code must be added to the file, which documents it."""
    text = SHIPPED.read_text()

    def keys(model: type[BaseModel]) -> set[str]:
        found = set()
        for name, field in model.model_fields.items():
            try:
                found |= keys(model_in(field.annotation))
            except TypeError:
                found.add(field.alias or name)
        return found

    assert {
        key for key in keys(config.Config) if not re.search(rf"(?m)^#? *\[?{key}\b|\.{key}\]", text)
    } == set()


def test_the_defaults_of_the_contract(load: Load) -> None:
    """What a minimal file leaves out has the values that are documented."""
    loaded = load()
    assert loaded.gateway.listen == ("127.0.0.1", 8787)
    assert loaded.store.path == Path("/var/lib/rtsd/mirror.db")
    assert loaded.control.socket == Path("/run/rtsd/rtsd.sock")
    assert loaded.sync.model_dump() == {
        "fresh_goal": 60_000,
        "silence_after": 1_800_000,
        "interval": 300_000,
        "lookback": 600_000,
        "fingerprint_every": 21_600_000,
        "describe_every": 3_600_000,
        "formula_refresh": 86_400_000,
        "initial_audit": "auto",
    }
    assert loaded.quota.reserve == 0.2
    assert loaded.org.api_version == "66.0"
    assert loaded.objects[0].fields == ("*",)


def test_it_is_frozen(load: Load) -> None:
    """Nobody changes the configuration behind the others' back."""
    loaded = load()
    with pytest.raises(ValidationError):
        loaded.sync.interval = 1  # type: ignore[misc]


MISTAKEN = """
[org]
login_url = "http://acme.my.salesforce.com"
client_idd = "x"
api_version = 66.0
[gateway]
listen = "8787"
[sync]
silence_after = 3
intervall = "3s"
initial_audit = "maybe"
interval = "0s"
[quota]
reserve = "120%"
daily.api_requests = "5"
[[objects]]
name = "Contact"
fields = ["*", "Name"]
privacy = {Phone = "encrypt", Id = "drop"}
[[objects]]
name = "contact"
[[objects]]
exclude = "Name"
[[rules]]
name = "r"
object = "Lead"
on = ["created"]
[[alerts]]
on = []
webhook.url = "ftp://x"
[server]
"""


def test_all_mistakes_at_once(mistakes: Mistakes) -> None:
    """One run tells everything there is to correct, each with its key, what is wrong and what is allowed."""
    found = mistakes(MISTAKEN)
    assert {mistake.partition(": ")[0] for mistake in found} == {
        "org.login_url",
        "org.client_idd",
        "org.client_id",
        "org.client_secret",
        "org.api_version",
        "gateway.listen",
        "gateway.token",
        "sync.silence_after",
        "sync.intervall",
        "sync.initial_audit",
        "sync.interval",
        "quota.reserve",
        "quota.daily.api_requests",
        "objects[Contact].fields",
        "objects[Contact].privacy",
        "objects[contact]",
        "objects[3].name",
        "objects[3].exclude",
        "rules[r]",
        "rules[r].object",
        "rules[r].on[1]",
        "alerts[1].on",
        "alerts[1].webhook.url",
        "alerts[1].webhook.secret",
        "server",
    }
    assert all("; " in mistake for mistake in found)
    assert "did you mean client_id?" in " ".join(found)
    assert "did you mean interval?" in " ".join(found)


@pytest.mark.parametrize(
    ("more", "key", "wrong"),
    [
        ('fields = ["Na me"]', "objects[Contact].fields[1]", "is not an API name"),
        ("fields = []", "objects[Contact].fields", "names no field"),
        ('exclude = ["SystemModstamp"]', "objects[Contact].exclude", "which rtsd requires"),
        ('privacy = {Phone = "md5"}', "objects[Contact].privacy.Phone", "'drop', 'hash' or 'last4'"),
        ('privacy = {"a b" = "hash"}', "objects[Contact].privacy.a b", "is not an API name"),
        ('where = "WHERE x = 1"', "objects[Contact].where", "the condition alone"),
        ('[[objects]]\nname = "CONTACT"', "objects[CONTACT]", "is a duplicate"),
        ('[store]\npath = ""', "store.path", "is not a path"),
        (f'[control]\nsocket = "/{"x" * 108}"', "control.socket", "too long for a Unix socket"),
        ("[quota.daily]\nbulk_jobs = 0", "quota.daily.bulk_jobs", "greater than or equal to 1"),
    ],
)
def test_one_mistake_is_one_line(more: str, key: str, wrong: str, mistakes: Mistakes) -> None:
    """Each kind of mistake is found, and nothing is reported beside it."""
    (found,) = mistakes(more=more)
    assert found.startswith(f"{key}: ")
    assert wrong in found


def test_rules_and_alerts_have_one_action_and_a_name(mistakes: Mistakes) -> None:
    """No action, two actions, and two rules of one name are told."""
    found = mistakes(
        more="""
        [[rules]]
        name = "a"
        object = "Contact"
        on = ["create"]
        command.argv = ["true"]
        webhook = {url = "https://example.com", secret = "x"}
        [[rules]]
        name = "A"
        object = "contact"
        on = ["delete"]
        command.argv = ["true"]
        [[alerts]]
        on = ["silent"]
        """
    )
    assert [mistake.split(";")[0] for mistake in found] == [
        "rules[A]: is a duplicate",
        "rules[a]: has two actions",
        "alerts[1]: has no action",
    ]


def test_a_rule_for_a_misspelt_object_is_answered_with_the_mirrored_one(mistakes: Mistakes) -> None:
    """As an unknown key is, with the name that is meant."""
    (found,) = mistakes(
        more="""
        [[rules]]
        name = "a"
        object = "Contat"
        on = ["create"]
        command.argv = ["true"]
        """
    )
    assert "rules[a].object: 'Contat' is not mirrored (did you mean Contact?); " in found


def test_rules_are_checked_as_far_as_that_goes_without_the_org(mistakes: Mistakes) -> None:
    """Syntax, functions and names are told at once; which columns there are shows later."""
    found = mistakes(
        more="""
        [[rules]]
        name = "a"
        object = "Contact"
        on = ["create"]
        when = "Email ="
        command.argv = ["true"]
        [[rules]]
        name = "b"
        object = "Contact"
        on = ["create"]
        fire_on = ["bulk"]
        when = "load_extension('x') OR Some__c = 1"
        command.argv = ["true"]
        [[alerts]]
        name = "A"
        on = ["silent"]
        command.argv = ["a\\u0000b"]
        """
    )
    assert [mistake.split(";")[0] for mistake in found] == [
        "rules[a].when: is not a condition: it ends too early",
        "rules[b].fire_on[1]: 'bulk' is not allowed",
        "rules[b].when: not authorized to use function: load_extension",
        "alerts[A].command.argv[1]: 'a\\x00b' is not an argument",
        "alerts[A].name: is the name of another rule or alert",
    ]


STREAMS = """
[[streams]]
url = []
stream = "a.b"
[[streams]]
url = "nats://a"
stream = "rts"
replicas = 3
credentials = "-----BEGIN X"
begin = "then"
[[streams]]
url = "nats://b"
stream = "rts"
"""


def test_streams_are_checked_as_far_as_that_goes_without_a_server(mistakes: Mistakes) -> None:
    """Each mistake has its key; two streams need two names, as each has a position."""
    found = dict(mistake.split(": ", 1) for mistake in mistakes(more=STREAMS))
    assert sorted(found) == [
        "streams[1].stream",
        "streams[1].url",
        "streams[2].begin",
        "streams[2].credentials_file",
        "streams[2].replicas",
        "streams[3].name",
    ]
    assert found["streams[2].credentials_file"].startswith("lacks a JWT or a seed")
    assert found["streams[3].name"] == "'rts' is the name of another stream; a unique name"


def test_what_streams_need_is_an_extra(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, the error says what to install."""
    streams = '[[streams]]\nurl = "nats://a"\nstream = "rts"\n'
    fanout.require_extra(load(more=streams))
    monkeypatch.setitem(sys.modules, "nats.js", None)
    fanout.require_extra(load())
    with pytest.raises(
        ConfigError, match=r"needs the package nats.*install rtsd with the extra rtsd\[nats\]"
    ):
        fanout.require_extra(load(more=streams))


def test_a_webhooks_url_stays_as_it_is_written(load: Load) -> None:
    """A slash at its end and a query are the receiver's affair."""
    hook = 'webhook = {url = "https://example.com/hook/?key=1/", secret = "x"}'
    loaded = load(more=f'[[rules]]\nname = "a"\nobject = "Contact"\non = ["create"]\n{hook}')
    assert loaded.rules[0].webhook is not None
    assert loaded.rules[0].webhook.url == "https://example.com/hook/?key=1/"


def test_relative_paths_start_at_the_configuration(load: Load, tmp_path: Path) -> None:
    """A demo or a test keeps everything in one directory."""
    loaded = load(more='[store]\npath = "data/mirror.db"\n[control]\nsocket = "s.sock"')
    assert loaded.store.path == tmp_path / "data" / "mirror.db"
    assert loaded.control.socket == tmp_path / "s.sock"
    assert loaded.path == tmp_path / "rtsd.toml"


def test_tls_needs_both_files_and_a_private_key(mistakes: Mistakes, tmp_path: Path) -> None:
    """One of the two is a mistake, and so is a key that others can read."""
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("PEM")
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    minimal = """
        [org]
        login_url = "https://acme.my.salesforce.com"
        client_id = "app"
        client_secret = "x"
        [[objects]]
        name = "Contact"
        [gateway]
        token = "a token of 22 bytes..."
    """
    (found,) = mistakes(minimal, 'tls_certificate = "cert.pem"')
    assert found.startswith("gateway.tls_private_key: is missing")
    (found,) = mistakes(minimal, 'tls_certificate = "cert.pem"\ntls_private_key = "key.pem"')
    assert "chmod 600" in found
    (found,) = mistakes(minimal, 'tls_certificate = "no.pem"\ntls_private_key = "no.pem"')[:1]
    assert "does not exist" in found


@pytest.mark.parametrize("text", [b"[org", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_not_toml_is_one_error(text: bytes, tmp_path: Path) -> None:
    """A file that cannot be parsed says where, and nothing of it is used."""
    path = tmp_path / "rtsd.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        config.load(path, {})


@pytest.mark.parametrize(
    ("text", "do"),
    [
        ("[push]\nsealed = true\n[push]\n", "one [section]"),
        ("[push]\nsealed = true\nsealed = true\n", "one [section]"),
        ("[push]\nchannel = stream\n", "Put text in quotes"),
    ],
)
def test_the_advice_is_for_the_mistake(text: str, do: str, tmp_path: Path) -> None:
    """Quotes mend no table that is there twice, as after keys were added at the end."""
    path = tmp_path / "rtsd.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path, {})
    assert do in caught.value.do


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    """$RTSD_CONFIG wins over the usual places; nothing anywhere says where was looked."""
    assert config.find({"RTSD_CONFIG": str(tmp_path / "x.toml")}) == tmp_path / "x.toml"
    with pytest.raises(ConfigError, match=r"cannot be read: No such file"):
        config.load(tmp_path / "x.toml", {})


def test_nothing_anywhere_says_where_was_looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's own file is found, and its absence is told with both places."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"neither /etc/rtsd/rtsd.toml nor .*/\.config/rtsd/rtsd.toml"):
        config.find({})
    own = tmp_path / ".config" / "rtsd" / "rtsd.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert config.find({}) == own
