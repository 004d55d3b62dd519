"""examples/dbt, run by dbt on a mirror that rtsd loaded into PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support import postgres
from tests.support.packages import installed
from tests.support.processes.example import EXAMPLES
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import Rig, standing
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, postgres.NEEDED]
ENOUGH_S = 300
GRANTS = """
CREATE ROLE dbt LOGIN;
GRANT USAGE ON SCHEMA salesforce, rts TO dbt;
GRANT SELECT ON ALL TABLES IN SCHEMA salesforce TO dbt;
GRANT SELECT ON rts._rts_object TO dbt;
CREATE SCHEMA analytics AUTHORIZATION dbt;
"""
OF_HISTORY = "GRANT USAGE ON SCHEMA history TO dbt; GRANT SELECT ON ALL TABLES IN SCHEMA history TO dbt"
RECORDS = 300
STAGE = "Negotiation/Review"
Cell = tuple[str, str]


def dbt(program: Path, project: Path, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of dbt in the project, as the user that the README grants rights to."""
    variables = {"PGHOST": str(conninfo_to_dict(url)["host"]), "PGUSER": "dbt", "PGDATABASE": "mirrors"}
    offline = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_PROFILES_DIR": "."}
    return subprocess.run(
        (str(program), "--no-use-colors", *words),
        env={**os.environ, **variables, **offline},
        cwd=project,
        check=False,
        capture_output=True,
        text=True,
        timeout=ENOUGH_S,
    )


def execute(url: str, statements: str) -> None:
    """As the administrator."""
    with psycopg.connect(url.replace("user=rts", "user=postgres"), autocommit=True) as connection:
        connection.execute(statements.encode())


async def pipeline(rig: Rig) -> Counter[Cell]:
    """The org's opportunities by month and stage."""
    return Counter([(row["CloseDate"][:7], row["StageName"]) async for row in rig.org.rows("Opportunity")])


def mart(url: str, name: str) -> Counter[Cell]:
    """What dbt built."""
    found = Counter[Cell]()
    statement = f"SELECT close_month::text, stage, opportunities FROM analytics.{name}"
    for month, stage, count in postgres.stored_rows(url.replace("user=rts", "user=postgres"), statement):
        found[month[:7], stage] += count
    return found


async def test_dbt_builds_the_pipeline(tmp_path: Path) -> None:
    """Sources are fresh, the marts count what the org has and had; an object that is not live stops it."""
    program = installed(tmp_path / "env", "dbt-core~=1.10.0", "dbt-postgres") / "dbt"
    project = shutil.copytree(EXAMPLES / "dbt", tmp_path / "project")
    readme = (EXAMPLES / "dbt" / "README.md").read_text()
    for statement in GRANTS.strip().splitlines()[1:]:
        assert statement in readme
    with postgres.cluster() as url:
        async with standing({"Opportunity": RECORDS}) as rig:
            nodes = Nodes(rig, url, more='[store.views]\nhistory = "history"\n')
            daemon = await (await nodes.launch("a")).ready()
            await daemon.live()
            await rig.install_package(f"http://127.0.0.1:{nodes.ports['a']}/v1/push")
            execute(url, GRANTS + OF_HISTORY)
            before, moment = await pipeline(rig), datetime.now(UTC).isoformat()
            ids = [row["Id"] async for row in rig.org.rows("Opportunity")][:40]
            moved = [{"Id": record, "StageName": STAGE} for record in ids]
            await rig.org.dml("update", "Opportunity", rows=moved)
            changed = f"SELECT id FROM salesforce.opportunity WHERE stagename = '{STAGE}'"
            await eventually(lambda: len(postgres.stored_rows(url, changed)) >= 40, "the changes arrive")
            variables = json.dumps({"history_schema": "history", "as_of": moment})
            for words in (("source", "freshness"), ("build",), ("build", "--vars", variables)):
                done = dbt(program, project, url, *words)
                assert done.returncode == 0, done.stdout + done.stderr
            now = await pipeline(rig)
            assert mart(url, "pipeline_by_stage") == now
            assert mart(url, "pipeline_then") == before != now
            assert now.total() == RECORDS
            await daemon.terminate()
        late = "UPDATE rts._rts_object SET state = 'incomplete', as_of = '2020-01-01T00:00:00.000Z'"
        execute(url, late)
        assert dbt(program, project, url, "source", "freshness").returncode == 1
        done = dbt(program, project, url, "build")
        assert done.returncode == 1
        results = json.loads((project / "target" / "run_results.json").read_text())["results"]
        failed = [each["unique_id"] for each in results if each["status"] == "fail"]
        assert failed == ["test.rts_example.every_object_is_live"]
