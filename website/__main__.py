"""`make site`: stages the pages, builds ./site, and serves it on this machine with --serve."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

from website.stage import ROOT, stage

SITE = ROOT / "site"


def build(place: Path) -> Path:
    """Stage the pages in a new directory, and build the site there.

    Raises CalledProcessError, also if the builder has a warning.
    """
    (place / "docs").mkdir(parents=True)
    stage(place / "docs")
    shutil.copy(ROOT / "website" / "mkdocs.yml", place)
    zensical = Path(sys.executable).with_name("zensical")
    subprocess.run([str(zensical), "build", "--strict"], cwd=place, check=True)  # noqa: S603 - our own tool
    return place / "site"


@click.command()
@click.option("--serve", is_flag=True, help="Serve it at http://127.0.0.1:8000 afterwards.")
@click.option("--port", default=8000, show_default=True, help="The port to serve it on.")
def main(*, serve: bool, port: int) -> None:
    """Build the documentation as a site in ./site."""
    with tempfile.TemporaryDirectory() as place:
        try:
            built = build(Path(place) / "site")
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.copytree(built, SITE)
    click.echo(f"{SITE}/index.html")
    if serve:
        handler = partial(SimpleHTTPRequestHandler, directory=str(SITE))
        with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
            click.echo(f"http://127.0.0.1:{server.server_port}")
            server.serve_forever()


if __name__ == "__main__":
    main()
