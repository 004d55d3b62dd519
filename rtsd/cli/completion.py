"""`rtsd completion`: scripts that complete commands in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from rtsd.cli import options

VARIABLE = "_RTSD_COMPLETE"
"""What the script sets when it asks for completions."""


@click.command(
    epilog=options.examples(
        "rtsd completion bash > ~/.local/share/bash-completion/completions/rtsd",
        'rtsd completion zsh > "${fpath[1]}/_rtsd"',
        "rtsd completion fish > ~/.config/fish/completions/rtsd.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, *, shell: str) -> None:
    """Print a script that completes verbs and options in a shell."""
    found = get_completion_class(shell)
    if found is None:
        raise RuntimeError(f"click has no completion for {shell}")
    click.echo(found(context.find_root().command, {}, "rtsd", VARIABLE).source())
