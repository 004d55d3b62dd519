"""A command with commands of its own, which answers an unknown one with those that are spelled alike."""

from __future__ import annotations

import click

from rtsd.core.spelling import did_you_mean


class Group(click.Group):
    """The class of every group of the command line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises UsageError."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            hint = did_you_mean(args[0], self.list_commands(ctx), most=3)
            raise click.UsageError(error.message + hint, ctx) from error
