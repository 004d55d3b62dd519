"""Secrets and personal data of a whole run, looked for where they must not be (docs/reliability.md 36)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from tests.support.processes.attackers import push_alone
from tests.support.processes.daemon import Daemon
from tests.support.processes.rig import PII, TOKEN, Rig, standing
from tests.support.processes.sender import Shot, signed

BAD_TOKEN = "canary-wrong-token-51ab"
MAIL = "canary.mail.83f1@example.com"
VERBS = ("status", "objects", "quota", "errors", "dead-letters", "rules")


async def shots(rig: Rig) -> list[tuple[Shot, int]]:
    """Pushes that go well and wrong in every way, each with somebody's name in it."""
    org = rig.org.info["org_id"]
    record = await anext(rig.org.rows("Lead"))
    head = {"v": 1, "kind": "changes", "org": org, "read_at": "2026-03-01T10:00:00.000Z"}

    def body(name: str, **more: object) -> bytes:
        fields = {**record, "LastName": PII, "Email": MAIL, **more}
        change = {"object": name, "op": "update", "id": record["Id"], "fields": fields}
        return msgspec.json.encode({**head, "changes": [{**change, "modstamp": record["SystemModstamp"]}]})

    whole = body("Lead")
    return [
        (signed(TOKEN, "good", whole), 200),
        (signed(TOKEN, "unknown-object", body("Nonsense__c")), 200),
        (signed(TOKEN, "unknown-field", body("Lead", Later__c=PII)), 200),
        (signed(TOKEN, "wrong-type", body("Lead", NumberOfEmployees=MAIL, IsConverted=PII)), 200),
        (signed(TOKEN, "wrong-json", whole.replace(b'"update"', f'"{PII}"'.encode())), 400),
        (signed(TOKEN, "no-json", whole[:-1]), 400),
        (signed(BAD_TOKEN, "forged", whole), 401),
        (signed(TOKEN, "other-org", whole.replace(org.encode(), b"00DQx0000000002EAA")), 403),
        (signed(TOKEN, "lost", whole, path=f"/{PII}"), 404),
        (Shot("noise", f"{PII} {MAIL} {TOKEN}\r\n\r\n".encode()), 400),
    ]


async def command(rig: Rig, *arguments: str) -> str:
    """What a verb shows."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rtsd", *arguments, "--socket", str(rig.socket)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return (await process.communicate())[0].decode()


async def looked_at(rig: Rig, daemon: Daemon) -> dict[str, str]:
    """Everything that somebody may see or keep, by where."""
    process = Path(f"/proc/{daemon.pid}")
    seen = {
        "arguments": (process / "cmdline").read_text(),
        "environment": (process / "environ").read_text(),
        "log": rig.log.read_text(),
    }
    for path in ("/v1/status", "/v1/errors", "/v1/dead-letters", "/v1/quota/history", "/metrics"):
        seen[path] = (await daemon.client.get(path)).decode()
    for verb in VERBS:
        seen[f"rtsd {verb}"] = await command(rig, verb)
    return seen


async def test_no_secret_and_no_person_leaves() -> None:
    """Logs, errors, lists, metrics, arguments, environment: neither is there, before and after the stop."""
    async with standing({"Lead": 5}) as rig:
        daemon = await rig.start()
        await daemon.live()
        for shot, expected in await shots(rig):
            assert (await push_alone(rig.port, shot))[0] == expected, shot.id
        await daemon.settled()
        seen = await looked_at(rig, daemon)
        assert await daemon.terminate() == 0
        seen["log at the end"] = rig.log.read_text()
        secrets = [str(rig.org.info[key]) for key in ("client_secret", "password", "security_token")]
        canaries = [TOKEN, BAD_TOKEN, PII, MAIL, *secrets]
        found = [(where, canary[:8]) for where, text in seen.items() for canary in canaries if canary in text]
        assert found == []
        assert "BadSignature" in seen["/v1/errors"], "what went wrong is told, without what it was about"
        assert json.loads(seen["/v1/dead-letters"])["dead_letters"]
        stored = b"".join(path.read_bytes() for path in rig.state.iterdir())
        assert [secret[:8] for secret in [TOKEN, *secrets] if secret.encode() in stored] == []
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in rig.state.iterdir()}
        assert set(modes.values()) == {"0o600"}, modes
        assert rig.state.stat().st_mode & 0o077 == 0
