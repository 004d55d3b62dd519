"""Secrets: where they are read from, who may read them, and that they never print."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rtsd import config
from rtsd.config import Config, Secret, load
from rtsd.config.secrets import SecretFiles
from rtsd.errors import ConfigError

FROM_FILES = """
[org]
login_url = "https://acme.my.salesforce.com"
client_id = "app"
client_secret_file = "sf-secret"
[gateway]
token_file = "push-token"
[[objects]]
name = "Contact"
"""


def put(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file with exactly this mode, whatever the umask."""
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The directory of the configuration, with both secrets in it."""
    put(tmp_path / "sf-secret", "from-file\n")
    put(tmp_path / "push-token", "new-token-of-16-bytes\n\n old-token-of-16-bytes \n")
    tmp_path.chmod(0o755)
    return tmp_path


def test_a_secret_never_prints() -> None:
    """Neither repr, str, format nor the configuration's own repr shows it."""
    secret = Secret("canary")
    assert "canary" not in f"{secret!r} {secret} {secret!s:>30}"
    assert secret.reveal() == "canary"
    assert secret == Secret("canary") != Secret("other")


def test_the_configuration_never_prints_one(load: Callable[..., Config]) -> None:
    """The whole configuration can be logged."""
    text = repr(load())
    assert "s3cr3t-value" not in text
    assert "push-token-value" not in text


def test_secrets_come_from_files_beside_the_configuration(files: Path, load: Callable[..., Config]) -> None:
    """White space around a secret is not part of it; each line of token_file is a key."""
    loaded = load(FROM_FILES)
    assert loaded.org.client_secret == Secret("from-file")
    assert loaded.hmac_keys == (b"new-token-of-16-bytes", b"old-token-of-16-bytes")
    assert {secret.reveal() for secret in loaded.secrets()} == {
        "from-file",
        "new-token-of-16-bytes",
        "old-token-of-16-bytes",
    }


def test_the_credentials_directory_comes_first(
    files: Path, tmp_path_factory: pytest.TempPathFactory, load: Callable[..., Config]
) -> None:
    """A relative name means systemd's credential where there is one of that name, else the file beside."""
    credentials = tmp_path_factory.mktemp("credentials")
    put(credentials / "sf-secret", "from-systemd", 0o444)
    credentials.chmod(0o700)
    loaded = load(FROM_FILES, CREDENTIALS_DIRECTORY=str(credentials))
    assert loaded.org.client_secret == Secret("from-systemd")
    assert loaded.gateway.token[0] == Secret("new-token-of-16-bytes")


def test_the_password_of_the_database_is_a_secret(files: Path, load: Callable[..., Config]) -> None:
    """From a file of its own, and never in a log."""
    put(files / "postgres-password", "hunter2-of-postgres\n")
    store = '[store]\nurl = "postgresql://rts@db/acme"\npassword_file = "postgres-password"\n'
    loaded = load(FROM_FILES.replace("[[objects]]", f"{store}[[objects]]"))
    assert loaded.store.password == Secret("hunter2-of-postgres")
    assert Secret("hunter2-of-postgres") in loaded.secrets()


def test_secrets_are_where_the_service_has_them(
    files: Path, load: Callable[..., Config], mistakes: Callable[..., tuple[str, ...]]
) -> None:
    """A check by hand finds them as systemd will, and never those of another org's configuration."""
    (files / "credentials").mkdir()
    (files / "sf-secret").rename(files / "credentials" / "sf-secret")
    assert load(FROM_FILES).org.client_secret == Secret("from-file")
    other = files / "acme.toml"
    other.write_text((files / "rtsd.toml").read_text())
    with pytest.raises(ConfigError, match="1 mistake"):
        config.load(other, {})
    (files / "credentials" / "acme").mkdir()
    put(files / "credentials" / "acme" / "sf-secret", "of-acme", 0o600)
    assert config.load(other, {}).org.client_secret == Secret("of-acme")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o620, 0o777])
def test_a_file_that_others_can_read_is_refused(
    mode: int, files: Path, mistakes: Callable[..., tuple[str, ...]]
) -> None:
    """The mistake names the chmod that helps."""
    (files / "sf-secret").chmod(mode)
    (mistake,) = mistakes(FROM_FILES)
    assert mistake.startswith("org.client_secret_file: ")
    assert mistake.endswith(f"run: chmod 600 {files / 'sf-secret'}")


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o440])
def test_owner_and_group_may_read(mode: int, files: Path, load: Callable[..., Config]) -> None:
    """A group of its own is a usual way to share a secret with the service's user."""
    (files / "sf-secret").chmod(mode)
    assert load(FROM_FILES).org.client_secret == Secret("from-file")


def test_what_is_wrong_with_a_file_is_told(files: Path, mistakes: Callable[..., tuple[str, ...]]) -> None:
    """Missing, empty and binary files are mistakes of their key, each once."""
    put(files / "sf-secret", " \n")
    (files / "push-token").unlink()
    empty, missing = mistakes(FROM_FILES)
    assert empty.startswith("org.client_secret_file: ")
    assert "is empty" in empty
    assert missing == (
        f"gateway.token_file: push-token is not in {files}; the name of a file with the secret"
    )
    (files / "sf-secret").write_bytes(b"\xff\xfe")
    assert "is not text" in mistakes(FROM_FILES)[0]


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that every user reaches, other than tmp_path."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@contextmanager
def without_rights() -> Iterator[str]:
    """A user without rights, of whom messages are to say this; root becomes one meanwhile."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield f"{pwd.getpwuid(os.geteuid()).pw_name} (uid {os.geteuid()})"
    finally:
        os.seteuid(user)


def test_who_cannot_read_a_file_is_told(shared: Path) -> None:
    """In a container it is not who ran the command."""
    put(shared / "sf-secret", "of-root", 0o000)
    with without_rights() as user, pytest.raises(ValueError, match="Permission denied") as caught:
        SecretFiles(shared).read("sf-secret")
    assert str(caught.value) == f"{shared / 'sf-secret'}: Permission denied; a file that {user} can read"


def test_a_closed_directory_is_not_called_an_empty_one(shared: Path) -> None:
    """Only root sees the service's credentials: for others they may be there or not."""
    closed = shared / "credentials"
    closed.mkdir(mode=0o000)
    with without_rights() as user, pytest.raises(ValueError, match="is not in") as caught:
        SecretFiles(shared).read("sf-secret")
    assert str(caught.value) == (
        f"sf-secret is not in {shared}, and {user} may not look into {closed}; run this with sudo"
    )


def test_a_secret_is_given_once(files: Path, mistakes: Callable[..., tuple[str, ...]]) -> None:
    """Both forms of one secret leave open which is meant."""
    both = FROM_FILES.replace("client_secret_file", 'client_secret = "x"\nclient_secret_file')
    assert mistakes(both) == ("org.client_secret: is set twice; either client_secret or client_secret_file",)


def test_a_refresh_token_knows_its_file(files: Path) -> None:
    """A rotated token is written back to the file it came from."""
    put(files / "refresh", "5Aep861")
    path = files / "rtsd.toml"
    path.write_text(
        FROM_FILES.replace(
            'client_secret_file = "sf-secret"', 'auth = "refresh_token"\nrefresh_token_file = "refresh"'
        )
    )
    loaded = load(path, {})
    assert loaded.org.refresh_token == Secret("5Aep861")
    assert loaded.org.refresh_token_path == files / "refresh"


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620])
def test_a_configuration_with_a_secret_is_one(tmp_path: Path, mode: int) -> None:
    """Inline, a secret is refused like a file of the same mode: the chmod is named, not the secret."""
    path = tmp_path / "rtsd.toml"
    put(path, FROM_FILES.replace('client_secret_file = "sf-secret"', 'client_secret = "canary"'), mode)
    put(tmp_path / "push-token", "a token of the right length\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("org.client_secret: ")
    assert f"chmod 600 {path}" in mistake
    assert "canary" not in mistake
    path.chmod(0o640)  # its group may read it
    assert load(path, {}).org.client_secret == Secret("canary")
    put(path, FROM_FILES, 0o644)  # names of files are no secrets
    put(tmp_path / "sf-secret", "canary")
    assert load(path, {}).org.client_secret == Secret("canary")


def test_a_short_token_is_refused(files: Path, mistakes: Callable[..., tuple[str, ...]]) -> None:
    """Every line counts: one that can be guessed opens the gateway."""
    put(files / "push-token", "0123456789abcdef\n0123456789abcde\n")
    (mistake,) = mistakes(FROM_FILES)
    assert mistake.startswith("gateway.token")
    assert "16 bytes" in mistake
