"""config/postgresql.compose.yml: what it starts exists, and the files it names are there or explained."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import yaml

CONFIG = Path(__file__).parents[2] / "config"


def test_the_compose_file_starts_nodes_behind_pgbouncer() -> None:
    """Two nodes with names of their own, on one PgBouncer in transaction mode, before one database."""
    text = (CONFIG / "postgresql.compose.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    services = found["services"]
    assert set(services) == {"db", "pgbouncer", "node-a", "node-b"}
    nodes = [services[name] for name in ("node-a", "node-b")]
    assert len({node["hostname"] for node in nodes}) == 2
    assert len({node["ports"][0] for node in nodes}) == 2
    assert all("exec rtsd run -c /etc/rtsd/rtsd.toml" in node["command"][2] for node in nodes)
    mounted = {place.split(":")[0].removeprefix("./") for place in services["pgbouncer"]["volumes"]}
    mounted |= {Path(secret["file"]).name for secret in found["secrets"].values()}
    said = text.partition("services:")[0]
    assert all((CONFIG / name).is_file() or name in said for name in mounted)
    assert re.search(r"postgresql://rts@pgbouncer:6432/acme", said)
    parser = ConfigParser(interpolation=None)
    parser.read(CONFIG / "pgbouncer.ini")
    assert parser["pgbouncer"]["pool_mode"] == "transaction"
    assert parser["pgbouncer"]["listen_port"] == "6432"
    assert "acme" in parser["databases"]
