"""How single values are read."""

from __future__ import annotations

import pytest

from rtsd.config import values


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("10s", 10_000),
        ("30m", 1_800_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
        ("0s", 0),
    ],
)
def test_a_duration_is_milliseconds(text: str, milliseconds: int) -> None:
    """Each unit of the contract is read."""
    assert values.duration(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "5", "5 s", "-5s", "1.5h", "5sec", "\u0665s", 5, 5.0, None, True, ["5s"]]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """Anything else says what a duration looks like."""
    with pytest.raises(ValueError, match=r'is not a duration; such as "500ms"'):
        values.duration(text)


def test_a_share_is_a_fraction() -> None:
    """20% is 0.2, and a share of everything is refused."""
    assert values.share("20%") == 0.2
    for wrong in ("100%", "20", "-1%", 20, 0.2):
        with pytest.raises(ValueError, match="is not a share"):
            values.share(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "https://a.b",
        "https://a.b:8443/x",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "http://localhost",
        "http://127.9.9.9",
    ],
)
def test_a_url_is_secure_or_local(text: str) -> None:
    """Anywhere by https, http only to this machine; a slash at the end is dropped."""
    assert values.url(text + "/") == text


@pytest.mark.parametrize(
    "text",
    [
        "http://acme.my.salesforce.com",
        "http://127.0.0.1.evil.com",
        "http://localhost.evil.com",
        "https://user:pass@acme.com",
        "https://",
        "acme.com",
        "ftp://acme.com",
        "https://acme.com:99999",
        "https://acme.com/a b",
        "https://acme.com/\n",
        "",
        7,
    ],
)
def test_what_would_leak_or_is_no_url_is_refused(text: object) -> None:
    """Clear text to elsewhere, credentials inside, and what is no URL at all."""
    with pytest.raises(ValueError, match="; https://host, or http:// for this machine only"):
        values.url(text)


def test_an_address_has_a_host_and_a_port() -> None:
    """Names, both families, and port 0; nothing is None."""
    assert values.listen("127.0.0.1:8787") == values.Listen("127.0.0.1", 8787)
    assert values.listen("[::1]:0") == values.Listen("::1", 0)
    assert values.listen("") is None
    assert str(values.Listen("::1", 80)) == "[::1]:80"
    assert str(values.Listen("0.0.0.0", 80)) == "0.0.0.0:80"


@pytest.mark.parametrize("text", ["8787", ":8787", "host:", "host:x", "host:65536", "::1:80", 8787])
def test_what_is_no_address_is_refused(text: object) -> None:
    """A port alone, a name alone, an IPv6 address without brackets."""
    with pytest.raises(ValueError, match="is not an address"):
        values.listen(text)


@pytest.mark.parametrize("name", ["", "1x", "Contact; DROP TABLE x", 'a"b', "Konto_ä__c", "x" * 81, None])
def test_an_api_name_is_letters_digits_underscores(name: object) -> None:
    """Names become table names, SOQL and paths: nothing else gets in."""
    with pytest.raises(ValueError, match="is not an API name"):
        values.api_name(name)


def test_a_row_filter_is_the_condition_alone() -> None:
    """WHERE is ours to write; a field whose name begins so is fine."""
    assert values.row_filter(" WhereAbouts__c = 'x' ") == "WhereAbouts__c = 'x'"
    for wrong in ("where x = 1", "WHERE\nx = 1"):
        with pytest.raises(ValueError, match="starts with WHERE"):
            values.row_filter(wrong)


def test_servers_of_nats_are_one_or_several() -> None:
    """By either scheme; a port is optional."""
    assert values.nats_urls("nats://127.0.0.1:4222") == ("nats://127.0.0.1:4222",)
    assert values.nats_urls(["tls://a.b", "tls://[::1]:4222"]) == ("tls://a.b", "tls://[::1]:4222")


@pytest.mark.parametrize(
    "wrong", ["", "localhost:4222", "http://a.b", "nats://", "nats://a b", 5, [], [5], None]
)
def test_what_is_no_server_of_nats_is_refused(wrong: object) -> None:
    """Anything else says what one looks like."""
    with pytest.raises(ValueError, match='"nats://host:4222", or "tls://host:4222"'):
        values.nats_urls(wrong)


def test_a_url_of_nats_has_no_password() -> None:
    """It would be shown in status and errors; the message does not repeat it."""
    with pytest.raises(ValueError, match="contains a user name or password") as refused:
        values.nats_urls("nats://ann:secret@a.b")
    assert "secret" not in str(refused.value)
