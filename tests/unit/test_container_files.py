"""Compose files and the Kubernetes manifest: what they start exists, and is open to this machine alone."""

from __future__ import annotations

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from rtsd import config
from rtsd.cli.app import SECTIONS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
FILES = sorted(CONFIG.glob("*.compose.yml"))
IMAGE = "rts"


def ours(path: Path) -> dict[str, dict[str, Any]]:
    """The services of a compose file that run our image, by name."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    return {name: service for name, service in found.items() if service["image"] == IMAGE}


def test_the_image_is_built_from_all_that_the_wheel_has() -> None:
    """What the build of the wheel reads is in the context, which leaves out everything else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], *wheel["shared-data"], "pyproject.toml"}
    needed |= {project["project"]["readme"], *project["project"]["license-files"]}
    given = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line[:1] == "!"}
    assert needed <= given


def test_the_dashboard_finds_a_locale_of_utf_8() -> None:
    """`podman exec -it` hands over no LANG, and the base need not have one."""
    assert re.search(r"(?m)^ENV (.+\\\n)*.*\bLANG=C\.UTF-8\b", (ROOT / "Containerfile").read_text())


def test_the_documented_configuration_is_one_for_the_gateway(tmp_path: Path) -> None:
    """That of docs/containers.md loads as it is, and `rtsd package deploy` knows where pushes go."""
    page = (ROOT / "docs" / "containers.md").read_text()
    path = tmp_path / "rtsd.toml"
    path.write_text(page.partition("```toml\n")[2].partition("```")[0])
    for name in ("sf-secret", "push-token"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text("a-secret-of-a-test-0123456789abcdef\n")
    assert config.load(path, {}).gateway.public_url.startswith("https://")


def test_there_is_one_for_each_way_to_run_it() -> None:
    """SQLite alone, PostgreSQL with three nodes, the demo."""
    assert {path.name: sorted(ours(path)) for path in FILES} == {
        "demo.compose.yml": ["demo"],
        "postgresql.compose.yml": ["node-a", "node-b", "node-c"],
        "sqlite.compose.yml": ["dashboard", "rtsd"],
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_is_open_to_others(path: Path) -> None:
    """Published ports are of this machine; nothing is writable but volumes; no capability is left."""
    for name, service in ours(path).items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_it_starts_and_mounts_is_there(path: Path) -> None:
    """Commands are verbs, and each file beside it is there, or named by the comment at the top."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    said = path.read_text().partition("services:")[0]
    mounted = [secret["file"] for secret in found.get("secrets", {}).values()]
    for service in found["services"].values():
        mounted += [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith("./")]
        if service["image"] == IMAGE and service.get("entrypoint") is None:
            verb = service.get("command", ["run"])[0]
            assert any(verb in verbs for verbs in SECTIONS.values())
    for name in (Path(file).name for file in mounted):
        assert (CONFIG / name).is_file() or name in said or "the secrets that it names" in said, name


def test_nodes_stand_behind_pgbouncer() -> None:
    """Three nodes with names and ports of their own, on one PgBouncer in transaction mode."""
    path = CONFIG / "postgresql.compose.yml"
    nodes = ours(path).values()
    assert len({node["hostname"] for node in nodes}) == len({node["ports"][0] for node in nodes}) == 3
    assert re.search(r"postgresql://rts@pgbouncer:6432/acme", path.read_text().partition("services:")[0])
    parser = ConfigParser(interpolation=None)
    parser.read(CONFIG / "pgbouncer.ini")
    assert parser["pgbouncer"]["pool_mode"] == "transaction"
    assert parser["pgbouncer"]["listen_port"] == "6432"
    assert "acme" in parser["databases"]


def test_the_manifest_is_the_images() -> None:
    """The same user and places as in the Containerfile, probes at the gateway's paths, a volume, no right."""
    image = (ROOT / "Containerfile").read_text()
    stateful, service = yaml.safe_load_all((CONFIG / "kubernetes.yml").read_text())
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    user = pod["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in image
    places = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert all(place in image for place in places), places
    probes = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")
    }
    assert probes == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert stateful["spec"]["volumeClaimTemplates"]
    assert service["spec"]["selector"] == stateful["spec"]["selector"]["matchLabels"]
