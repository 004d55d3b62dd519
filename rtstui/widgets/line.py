"""A line to type in that is only there while it is needed."""

from __future__ import annotations

from textual.widgets import Input


class Line(Input):
    """One line of text over a view. Its view says what escape and enter do."""

    def __init__(self, placeholder: str, *, id: str) -> None:  # noqa: A002 (Textual's word)
        super().__init__(id=id, placeholder=placeholder, select_on_focus=False, classes="line")
        self.cursor_blink = False  # nothing moves on a screen at rest

    def open(self, text: str | None = None) -> None:
        """Show it and take the keys."""
        if text is not None:
            self.value = text
            self.cursor_position = len(text)
        self.add_class("-open")
        self.focus()

    def close(self) -> None:
        """Hide it and let the keys go to the view's panels; the text stays."""
        if self.has_focus:
            self.screen.focus_next()
        self.remove_class("-open")
