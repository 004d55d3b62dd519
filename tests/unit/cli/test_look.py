"""`missed`, `sql`, `completion` and lists of trouble: what they show and how they end."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.support.cli import Daemon, Rtsd

AT = "2026-03-01T10:00:00.000Z"


SPELL: dict[str, Any] = {
    "since": "2026-03-01T09:06:00.000Z",
    "until": None,
    "why": "no push for 30m",
    "missed": True,
    "changes": 910,
    "objects": {"Contact": 900, "Lead": 10},
    "sources": {"interval": 910},
    "first": [],
}


def test_missed_tells_spells_and_their_sum(rtsd: Rtsd, daemon: Daemon) -> None:
    """Since when, until when, how many of what and why; by default of 24 hours."""
    found = {"since": AT, "missed": 910, "spells": [SPELL], "truncated": False}
    daemon.answers["GET /v1/missed"] = found
    status, out, _ = rtsd("missed")
    assert status == 0
    (row,) = [line for line in out.splitlines() if line.startswith(SPELL["since"])]
    assert row.split(maxsplit=4)[1:4] == ["still", "910", "missed"]
    assert row.endswith("Contact 900, Lead 10  no push for 30m")
    assert "910 changes should have come by a push since 2026-03-01T10:00:00.000Z, and did not" in out
    found["spells"], found["missed"] = [SPELL | {"missed": False, "why": "filtered"}], 0
    daemon.answers["GET /v1/missed?since=2026-03-01T10:00:00.000Z"] = found
    _, out, _ = rtsd("missed", "--since", "2026-03-01T11:00:00+01:00")
    assert "not due" in out
    assert out.endswith("No push was missed since 2026-03-01T10:00:00.000Z.\n")
    assert json.loads(rtsd("missed", "--json").out) == found


def test_sql_prints_a_table_csv_or_json(rtsd: Rtsd, daemon: Daemon) -> None:
    """As it is asked for; a result that was cut exits with 1."""
    found = {"columns": ["Id", "Flag", "n"], "rows": [["003", True, 1.5], ["a,b", None, None]]}
    daemon.answers["POST /v1/query"] = found
    assert rtsd("sql", "SELECT 1") == (0, "Id   Flag  n\n003  true  1.5\na,b  -     -\n", "")
    csv = rtsd("sql", "SELECT 1", "--format", "csv")
    assert csv.out == 'Id,Flag,n\r\n003,true,1.5\r\n"a,b",,\r\n'
    assert json.loads(rtsd("sql", "SELECT 1", "--json").out)["rows"] == found["rows"]
    daemon.answers["POST /v1/query"] = {**found, "truncated": True}
    status, _, err = rtsd("sql", "SELECT 1")
    assert (status, err) == (1, "Only the first 2 rows are shown.\n")


def test_sql_reads_a_query_from_stdin(rtsd: Rtsd, daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-`, as other programs have it."""
    daemon.answers["POST /v1/query"] = {"columns": ["n"], "rows": [[1]]}
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS n"))
    assert rtsd("sql", "-").out == "n\n1\n"
    assert daemon.calls[-1].body == {"sql": "SELECT 1 AS n"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_asks_the_program_itself(rtsd: Rtsd, shell: str) -> None:
    """The script calls rtsd for the words, so it knows the verbs of the version that is installed."""
    assert f"_RTSD_COMPLETE={shell}_complete" in rtsd("completion", shell).out


def test_completion_knows_the_verbs(rtsd: Rtsd, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell asks."""
    monkeypatch.setenv("_RTSD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "rtsd mis")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert rtsd().out == "plain,missed\n"


def test_a_misspelt_verb_is_answered_with_others(rtsd: Rtsd) -> None:
    """And one that resembles nothing is just unknown."""
    assert "No such command 'statsu'. Did you mean status?" in rtsd("statsu").err
    assert "Did you mean" not in rtsd("xyzzy").err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("dead-letters", "rety"), "retry"),
        (("package", "deplo"), "deploy"),
        (("conditions", "sett"), "set"),
        (("rules", "tset"), "test"),
        (("service", "instal"), "install"),
        (("stream", "enabel"), "enable"),
        (("import", "heroku"), "heroku-connect"),
    ],
)
def test_a_misspelt_command_of_a_verb_is_answered_with_others(
    words: tuple[str, ...], meant: str, rtsd: Rtsd
) -> None:
    """Every verb that has commands of its own does as `rtsd` does."""
    ended = rtsd(*words)
    assert ended.status == 2
    assert f"No such command '{words[1]}'. Did you mean {meant}" in ended.err


def test_a_misspelt_object_of_the_simulated_org_is_answered_with_another(rtsd: Rtsd) -> None:
    """Before an org is made of the others."""
    ended = rtsd("simulate", "--records", "Contct=5")
    assert (ended.status, "Did you mean Contact?" in ended.err) == (2, True)


def test_lists_of_trouble_end_with_the_newest(rtsd: Rtsd, daemon: Daemon) -> None:
    """As the journal does: the newest is next to the prompt."""
    error = {"at": AT, "error": "OrgUnreachable", "message": "", "count": 1}
    errors = [error | {"seq": 2, "message": "new"}, error | {"seq": 1, "message": "old"}]
    daemon.answers["GET /v1/errors"] = {"errors": errors}
    assert [line.split()[-1] for line in rtsd("errors").out.splitlines()[1:]] == ["old", "new"]
    letter = {"at": AT, "reason": "UnknownObject", "message": "no such object"}
    daemon.answers["GET /v1/dead-letters"] = {"dead_letters": [letter | {"id": 14}, letter | {"id": 12}]}
    assert [line.split()[0] for line in rtsd("dead-letters").out.splitlines()[1:]] == ["12", "14"]
