"""examples/dbt, run by dbt on a mirror that rtsd loaded into PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.support import postgres
from tests.support.packages import installed
from tests.support.processes.example import EXAMPLES
from tests.support.processes.nodes import Nodes
from tests.support.processes.rig import standing

pytestmark = [pytest.mark.slow, postgres.NEEDED]
ENOUGH_S = 300
GRANTS = """
CREATE ROLE dbt LOGIN;
GRANT USAGE ON SCHEMA salesforce, rts TO dbt;
GRANT SELECT ON ALL TABLES IN SCHEMA salesforce TO dbt;
GRANT SELECT ON rts._rts_object TO dbt;
CREATE SCHEMA analytics AUTHORIZATION dbt;
"""
RECORDS = 300


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


async def test_dbt_builds_the_pipeline(tmp_path: Path) -> None:
    """Sources are fresh, the mart counts what the org has, and an object that is not live stops the build."""
    program = installed(tmp_path / "env", "dbt-core~=1.10.0", "dbt-postgres") / "dbt"
    project = shutil.copytree(EXAMPLES / "dbt", tmp_path / "project")
    readme = (EXAMPLES / "dbt" / "README.md").read_text()
    for statement in GRANTS.strip().splitlines()[1:]:
        assert statement in readme
    with postgres.cluster() as url:
        async with standing({"Opportunity": RECORDS}) as rig:
            nodes = Nodes(rig, url)
            daemon = await (await nodes.launch("a")).ready()
            await daemon.live()
            execute(url, GRANTS)
            for words in (("source", "freshness"), ("build",)):
                done = dbt(program, project, url, *words)
                assert done.returncode == 0, done.stdout + done.stderr
            wanted = Counter[tuple[str, str]]()
            async for row in rig.org.rows("Opportunity"):
                wanted[row["CloseDate"][:7], row["StageName"]] += 1
            mart = "SELECT close_month::text, stage, opportunities FROM analytics.pipeline_by_stage"
            found = Counter[tuple[str, str]]()
            for counted in postgres.stored_rows(url.replace("user=rts", "user=postgres"), mart):
                found[counted[0][:7], counted[1]] += counted[2]
            assert found == wanted
            assert wanted.total() == RECORDS
            await daemon.terminate()
        late = "UPDATE rts._rts_object SET state = 'incomplete', as_of = '2020-01-01T00:00:00.000Z'"
        execute(url, late)
        assert dbt(program, project, url, "source", "freshness").returncode == 1
        done = dbt(program, project, url, "build")
        assert done.returncode == 1
        results = json.loads((project / "target" / "run_results.json").read_text())["results"]
        failed = [each["unique_id"] for each in results if each["status"] == "fail"]
        assert failed == ["test.rts_example.every_object_is_live"]
