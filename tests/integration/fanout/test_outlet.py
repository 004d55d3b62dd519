"""Publication to a real server: resumed, held up and told of, and continued."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from rtsd.errors import PublishFailed
from tests.integration.fanout.conftest import Publish, Publishing, section
from tests.support import nats
from tests.support.certificates import self_signed
from tests.support.inprocess.rig import Start
from tests.support.nats import Server
from tests.support.nats_operator import Key, Operator

pytestmark = nats.needed


async def test_a_new_stream_begins_with_what_comes(publishing: Publish) -> None:
    """By default history is not published: it may have happened months ago."""
    made = await publishing(more="")
    record_id = await made.rig.a_record("Contact")
    await made.rename(record_id, "Before")
    await made.publish()
    await made.rename(record_id, "After")
    (message,) = await made.settle()
    assert message.values[1]["LastName"] == "After"


async def test_it_goes_on_from_the_last_acknowledged_change(start: Start, server: Server) -> None:
    """Over restarts: nothing twice after a clean stop, nothing missing, and one that is away waits."""
    await server.add()
    rig = await start({"Contact": 3}, more=section(server.url, 'begin = "journal"'), run=False)
    seen = 0
    for number in range(3):
        async with rig.running():
            made = Publishing(rig, server)
            if not number:
                await rig.load()
            await rig.install_package()
            await made.rename(await rig.a_record("Contact"), f"Name {number}")
            if number == 1:
                await server.end()
                with pytest.raises(PublishFailed, match="no connection to NATS"):
                    await made.publish()
                await server.start()
            else:
                await made.publish()
                seen = made.outlet.numbers.published
            await made.close()
    messages = await server.messages()
    assert [after["LastName"] for _, after in (message.values for message in messages)] == [
        "Name 0",
        "Name 1",
        "Name 2",
    ]
    assert seen == 2


async def test_a_server_that_comes_back_gets_what_waited(publishing: Publish, server: Server) -> None:
    """It was killed between two changes; the failure is told once, and over when it is."""
    made = await publishing()
    record_id = await made.rig.a_record("Contact")
    await made.rename(record_id, "One")
    await made.publish()
    await server.end()
    for number in range(3):
        await made.rename(record_id, f"Two {number}")
        await made.outlet.turn()
    assert made.outlet.error is not None
    assert made.outlet.numbers.failures == 3
    assert (await made.outlet.lag())[0] > 0
    await server.start()
    assert len(await made.settle()) == 4
    assert await made.outlet.lag() == (0, 0)
    reported = [note for note in await made.rig.notes("error") if "stream rts" in (note.message or "")]
    assert len(reported) == 1


async def test_no_other_stream_gets_them(publishing: Publish, server: Server) -> None:
    """The stream gives its subjects away while rtsd is connected: it is told, and nothing goes there."""
    made = await publishing()
    await made.publish()
    await server.add(subjects=["elsewhere"])
    await server.add("other")
    await made.rename(await made.rig.a_record("Contact"), "New")
    with pytest.raises(PublishFailed, match="expected stream does not match"):
        await made.publish()
    assert await server.messages("other") == []


FULL: dict[str, Any] = {"max_msgs": 2, "discard": "new"}


async def test_a_full_stream_loses_nothing(publishing: Publish, server: Server) -> None:
    """It refuses new messages; once it has room again, they come in order."""
    made = await publishing(**FULL)
    record_id = await made.rig.a_record("Contact")
    for number in range(4):
        await made.rename(record_id, f"Name {number}")
    with pytest.raises(PublishFailed, match="stream rts refuses: maximum messages exceeded") as refused:
        await made.publish()
    assert "nats stream info" in refused.value.do
    await server.add(**{**FULL, "max_msgs": 10})
    messages = await made.settle()
    assert [message.values[1]["LastName"] for message in messages] == [
        f"Name {number}" for number in range(4)
    ]


async def test_it_creates_the_stream_if_it_may(publishing: Publish, server: Server) -> None:
    """With create = true, with the org's subjects; without, it says which stream is missing."""
    made = await publishing('begin = "journal"\ncreate = true', add=False)
    await made.rename(await made.rig.a_record("Contact"), "New")
    assert len(await made.settle()) == 1
    async with server.connected() as stream:
        config = (await stream.stream_info(nats.STREAM)).config
    assert config.subjects == [f"rts.{made.rig.org.org_id}.>"]


@pytest.mark.parametrize(
    ("more", "config", "reason", "do"),
    [
        ("", None, "there is no stream rts", "create = true"),
        ("", {"subjects": ["rts.*.Lead.*"]}, "stream rts does not take rts.00D", "add rts.00D"),
        ("create = true\nreplicas = 3", None, "stream rts refuses: replicas > 1 not supported", "limits"),
    ],
)
async def test_what_is_wrong_with_a_stream_is_told(
    publishing: Publish, more: str, config: dict[str, Any] | None, reason: str, do: str
) -> None:
    """One error each, with what to do."""
    made = await publishing(more, add=config is not None, **(config or {}))
    with pytest.raises(PublishFailed, match=reason) as told:
        await made.publish()
    assert do in told.value.do


async def test_servers_without_jetstream_are_told(start: Start) -> None:
    """They take connections, and nobody answers for a stream."""
    async with nats.server(jetstream=False) as server:
        rig = await start({"Contact": 1}, more=section(server.url))
        made = Publishing(rig, server)
        with pytest.raises(PublishFailed, match="JetStream is not enabled on the servers"):
            await made.publish()


async def test_retention_that_overtakes_a_stream_is_told(publishing: Publish, server: Server) -> None:
    """What is gone is counted, and told twice at most for an outage; the rest is published."""
    made = await publishing()
    record_id = await made.rig.a_record("Contact")
    await made.rename(record_id, "Published")
    await made.publish()
    position = made.outlet.position
    assert position is not None
    await server.end()
    await made.outlet.turn()
    kept = 0
    for number in range(5):
        await made.rename(record_id, f"Name {number}")
        rows = await made.rig.rows("SELECT seq FROM _rts_journal WHERE type='change' ORDER BY seq")
        if number < 4:
            kept = rows[-1][0]
            async with made.rig.parts.base.database.transaction() as tx:
                await tx.execute("DELETE FROM _rts_journal WHERE seq < ?", (kept,))
            await made.outlet.turn()
    await server.start()
    messages = await made.settle()
    assert [message.values[1]["LastName"] for message in messages] == ["Published", "Name 3", "Name 4"]
    assert made.outlet.numbers.lost == kept - 1 - position
    lost = await made.rig.rows("SELECT message FROM _rts_error WHERE error='ChangesLost' ORDER BY seq")
    assert len(lost) == 2  # the first loss at once, all others when the server is back
    assert f"entries {position + 1} to " in lost[0][0]
    assert f" to {kept - 1} of the journal" in lost[1][0]


async def test_numbers_that_begin_again_are_published(start: Start, server: Server) -> None:
    """Retention has emptied the journal while rtsd was down: the position is beyond what comes."""
    await server.add()
    rig = await start({"Contact": 3}, more=section(server.url), run=False)
    names = []
    for number in range(2):
        async with rig.running():
            made = Publishing(rig, server)
            await rig.load()
            await rig.install_package()
            await made.publish()
            await made.rename(await rig.a_record("Contact"), f"Name {number}")
            await made.publish()
            names = [message.values[1]["LastName"] for message in await server.messages()]
            await made.close()
            async with rig.parts.base.database.transaction() as tx:
                await tx.execute("DELETE FROM _rts_journal")
    assert names == ["Name 0", "Name 1"]


USERS = """authorization { users: [
  { user: "ann", password: "secret-of-ann" }
  { user: "bob", password: "secret-of-bob", permissions: { publish: ["$JS.API.STREAM.INFO.*"] } }
] }"""
ANN: dict[str, Any] = {"user": "ann", "password": "secret-of-ann"}


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        ("ann:wrong", "refuses the credentials"),
        ("", "refuses the credentials"),
        ("bob:secret-of-bob", 'lacks a permission: permissions violation for publish to "rts.00d'),
        ("ann:secret-of-ann", ""),
    ],
)
async def test_a_user_with_a_password(start: Start, credentials: str, reason: str) -> None:
    """Let in, refused, or without the permission to publish; a message has no password in it."""
    async with nats.server(USERS, **ANN) as server:
        await server.add()
        own = f'credentials = "{credentials}"' if credentials else ""
        rig = await start({"Contact": 3}, more=section(server.url, own))
        made = Publishing(rig, server)
        if reason:
            with pytest.raises(PublishFailed, match=reason) as told:
                await made.publish()
            assert "secret-of" not in str(told.value)
        else:
            await made.publish()
        await made.close()


async def test_a_credentials_file_of_nsc(start: Start, tmp_path: Path) -> None:
    """A user with a JWT, whose seed signs the server's challenge; another key is refused."""
    operator = Operator()
    async with nats.server(operator.config()) as server:
        server.login = {"user_jwt_cb": operator.user_jwt.encode, "signature_cb": operator.signature}
        await server.add()
        for seed, reason in ((operator.user.seed, None), (Key("U").seed, "refuses the credentials")):
            (tmp_path / "nats.creds").write_text(operator.credentials(seed))
            (tmp_path / "nats.creds").chmod(0o600)
            more = section(server.url, 'credentials_file = "nats.creds"')
            rig = await start({"Contact": 1}, more=more, run=False)
            async with rig.running():
                made = Publishing(rig, server)
                await made.outlet.turn()
                assert (reason or "None") in str(made.outlet.error)
                await made.close()


async def test_tls(start: Start, tmp_path: Path) -> None:
    """By ca_file; a server that is not trusted, or speaks no TLS, gets neither credentials nor values."""
    certificate = self_signed(tmp_path / "nats.pem")
    tls = f'tls {{ cert_file: "{certificate}", key_file: "{certificate}" }}'
    async with nats.server(tls) as server, nats.server(USERS, **ANN) as plain:
        server.login = {"tls": nats.trusting(certificate)}
        await server.add()
        secure = server.url.replace("nats://", "tls://")
        unsafe = plain.url.replace("nats://", "tls://")
        ca_file = f'ca_file = "{certificate}"'
        for url, more, reason in (
            (secure, ca_file, ""),
            (secure, "", "certificate is not trusted"),
            (unsafe, f'{ca_file}\ncredentials = "ann:secret-of-ann"', "secure connection not available"),
        ):
            rig = await start({"Contact": 1}, more=section(url, more), run=False)
            async with rig.running():
                made = Publishing(rig, server)
                await made.outlet.turn()
                assert reason in str(made.outlet.error or "")
                assert bool(reason) == (made.outlet.error is not None)
                await made.close()


async def test_a_server_that_freezes_holds_nothing_up_for_long(publishing: Publish, server: Server) -> None:
    """It accepts connections, and answers nothing."""
    made = await publishing()
    await made.rename(await made.rig.a_record("Contact"), "Frozen")
    server.signal(signal.SIGSTOP)
    try:
        await made.outlet.turn()
    finally:
        server.signal(signal.SIGCONT)
    assert made.outlet.error is not None
    assert len(await made.settle()) == 1
