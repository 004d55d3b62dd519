"""apex-ls, PMD and Salesforce's own compiler front end, which come as jars in two npm packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.support.apex.source_rules import Finding

HERE = Path(__file__).parents[2] / "apex"
JARS = HERE / "node_modules/@salesforce/code-analyzer-pmd-engine/dist/java-lib"
"""apex-ls, PMD, and the stubs of the standard library."""
COMPILER_JARS = HERE / "node_modules/@salesforce/code-analyzer-sfge-engine/dist/java-lib"
HARNESS = HERE / "compiler/CompileApex.java"
INSTALL_S, RUN_S = 180, 120


def missing() -> str | None:
    """Why the analysers can't run here, or None; installs them where npm can."""
    if shutil.which("java") is None:
        return "apex-ls, PMD and the Apex compiler need Java"
    if JARS.is_dir() and COMPILER_JARS.is_dir():
        return None
    npm = shutil.which("npm")
    if npm is None:
        return "apex-ls, PMD and the Apex compiler are installed with npm"
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = _run(command, HERE, INSTALL_S)
    return (
        f"npm ci could not install the analysers: {done.stderr.strip()[-300:]}" if done.returncode else None
    )


def compiler_missing() -> str | None:
    """Why the Apex compiler can't run here, or None: its harness is Java source, which needs a JDK."""
    if shutil.which("javac") is None:
        return "the Apex compiler needs a JDK; this machine has no javac"
    return missing()


def write(tree: Mapping[str, bytes], folder: Path) -> None:
    """Put a project's files into a folder."""
    for path, content in tree.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def apex_ls(folder: Path) -> list[Finding]:
    """What apex-ls has against the project in a folder, warnings included."""
    done = _java(
        folder,
        "io.github.apexdevtools.apexls.CheckForIssues",
        "-n",
        "-w",
        ".",
        "-d",
        "warnings",
        "-f",
        "json",
    )
    if done.returncode not in (0, 4):
        raise RuntimeError(f"apex-ls failed: {done.stderr[-2000:]}")
    return [
        Finding(_inner(file["path"], folder), issue["start"]["line"], issue["message"])
        for file in json.loads(done.stdout)["files"]
        for issue in file["messages"]
    ]


def pmd(folder: Path, paths: Iterable[str]) -> list[Finding]:
    """What PMD has against some files of a folder, by the rules of ruleset.xml."""
    files = [str(folder / path) for path in paths if path.endswith((".cls", ".trigger"))]
    order = {
        "ruleSetInputFile": str(HERE / "ruleset.xml"),
        "runDataPerLanguage": {"apex": {"filesToScan": files}},
    }
    (folder / "pmd-in.json").write_text(json.dumps(order))
    done = _java(folder, "com.salesforce.sfca.pmdwrapper.PmdWrapper", "run", "pmd-in.json", "pmd-out.json")
    if done.returncode:
        raise RuntimeError(f"PMD failed: {done.stderr[-2000:]} {done.stdout[-2000:]}")
    result = json.loads((folder / "pmd-out.json").read_text())
    return [
        Finding(
            _inner(found["codeLocation"]["file"], folder),
            found["codeLocation"]["startLine"],
            f"{found['rule']}: {found['message']}",
        )
        for found in result["violations"]
    ] + [Finding(str(error), 0, "not read by PMD") for error in result["processingErrors"]]


def compile_apex(folder: Path) -> list[Finding]:
    """What Salesforce's compiler has against the classes and triggers of a folder."""
    stubs = [str(one_jar(f"{kind}-types-*.jar")) for kind in ("standard", "sobject")]
    path = os.pathsep.join([f"{COMPILER_JARS}/*", *stubs])
    done = _run(["java", "-cp", path, str(HARNESS), ".", *stubs], folder, RUN_S)
    if done.returncode:
        raise RuntimeError(f"the Apex compiler failed: {done.stderr[-2000:]}")
    rows = (line.split("\t", 3) for line in done.stdout.splitlines())
    return [Finding(path.removeprefix("./"), int(line), message) for path, line, _, message in rows]


def one_jar(pattern: str) -> Path:
    """The only jar of apex-ls that fits a pattern."""
    (jar,) = JARS.glob(pattern)
    return jar


def _java(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(["java", "-cp", f"{JARS}/*", *arguments], folder, RUN_S)


def _run(command: list[str], folder: Path, limit_s: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit_s, check=False)


def _inner(path: str, folder: Path) -> str:
    return Path(path).resolve().relative_to(folder.resolve()).as_posix()
