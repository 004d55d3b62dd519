"""Small parts without a screen: staged conditions, plots, ASCII, the pace, settings, files, answers."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from rtsd.control.verdict import GLYPHS
from rtstui import saving, settings
from rtstui.ascii_filter import AsciiFilter, is_needed, to_ascii
from rtstui.bindings import bindings
from rtstui.document_cache import KEPT, CachedDocument, DocumentCache, DocumentRequest
from rtstui.meaning import LINKS, MODES, OBJECTS
from rtstui.pace import HIGH_S, SLOWEST, WINDOW, Pace
from rtstui.rows import plain
from rtstui.settings import Preset
from rtstui.staging import Staged
from rtstui.widgets.chart import (
    AXIS,
    FORECAST,
    OTHERS,
    OUR_FORECAST,
    Column,
    Level,
    columns,
    resample,
    stacked,
    ticks,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KNOWN = {name: binding.key for name, binding in bindings()}

# -- sync conditions -----------------------------------------------------------------------------


def test_edits_stay_edits_when_others_change_the_ground_under_them() -> None:
    """What somebody else added in Salesforce is neither removed nor called our edit."""
    staged = Staged()
    staged.rebase(["Email", "Phone"])
    staged.toggle("Email")
    staged.toggle("Title")
    staged.rebase(["Email", "Phone", "OwnerId"])
    assert (staged.added, staged.removed) == (["Title"], ["Email"])
    assert staged.wanted == {"Phone", "OwnerId", "Title"}


def test_undo_takes_back_one_step_and_ends_at_what_stands() -> None:
    """However often it is pressed."""
    staged = Staged()
    staged.rebase(["Email"])
    staged.choose(())
    staged.toggle("Phone")
    wished: list[set[str]] = [set(), {"Email"}, {"Email"}]
    for wanted in wished:
        staged.undo()
        assert staged.wanted == wanted
    assert not staged.changed


# -- plots ---------------------------------------------------------------------------------------


@given(st.lists(st.none() | st.floats(0, 1e9), min_size=1, max_size=60), st.integers(1, 9))
def test_a_plot_shows_every_value_that_is_not_nothing(values: list[float | None], height: int) -> None:
    """Anything above 0 has a mark, 0 has none, the unknown is a dot: three things that look different."""
    top = max((value for value in values if value is not None), default=0.0)
    lines = columns(values, height, top)
    assert {len(line) for line in lines} == {len(values)}
    for place, value in enumerate(values):
        ground = lines[-1][place]
        expected = ground == "·" if value is None else ground in "▁▂▃▄▅▆▇█" if value > 0 else ground == " "
        assert expected, (value, ground)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(1, 120))
def test_resampling_loses_no_call_and_no_peak(values: list[float], width: int) -> None:
    """Where columns share their hours, sums stay sums and the highest stays the highest."""
    assert len(resample(values, width, total=True)) == width
    peak = resample(values, width, total=False)
    assert max(value or 0 for value in peak) == max(values)
    if len(values) >= width:
        assert sum(value or 0 for value in resample(values, width, total=True)) == pytest.approx(sum(values))


def test_levels_are_drawn_into_a_plot_with_their_names() -> None:
    """Each once, at its height; two that share a row share the line, too."""
    shown = [Column(1.0, 0.0)] * 40
    limit, reserve = Level(8.0, "limit", "─"), Level(6.0, "reserve", "╌")
    rows = [plain(row) for row in stacked(shown, 8, levels=[limit, reserve], role="ok")]
    (high,) = [at for at, row in enumerate(rows) if " limit " in row]
    (low,) = [at for at, row in enumerate(rows) if " reserve " in row]
    assert (high, low) == (0, 2)
    assert ["─" in row for row in rows].count(True) == 1
    both = [plain(row) for row in stacked(shown, 2, levels=[limit, reserve], role="ok")]
    assert [" limit · reserve " in row for row in both].count(True) == 1


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.integers(1, 14))
def test_us_others_and_forecast_have_signs_of_their_own(ours: int, others: int, height: int) -> None:
    """Whoever used anything is in the picture, in Unicode and in ASCII; nobody else is."""
    past, future = Column(ours, others), Column(ours, others, is_forecast=True)
    rows = [plain(row)[AXIS:] for row in stacked([past, future], height, levels=(), role="ok")]
    used, coming = ({row[at] for row in rows} - {" "} for at in (0, 1))
    assert bool(used - {OTHERS}) == (ours > 0)
    assert OTHERS not in used or others > 0
    if height > 2:
        assert (OTHERS in used) == (others > 0) or ours > others
    assert coming <= {FORECAST, OUR_FORECAST}
    assert (FORECAST in coming) == (others > 0 or ours == 0)
    seen = [{to_ascii(sign) for sign in signs} for signs in ("▁▂▃▄▅▆▇█", OTHERS, FORECAST + OUR_FORECAST)]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


def test_the_foot_of_a_plot_has_zero_times_and_the_zone() -> None:
    """Labels that would overlap an earlier one give way."""
    foot = plain(ticks([(18, "now"), (0, "12:00"), (16, "late")], 30, "UTC"))
    assert foot.split() == ["0", "12:00", "now", "UTC"]
    assert len(foot) == 30 + AXIS


# -- ASCII ---------------------------------------------------------------------------------------


@given(st.text(max_size=40))
def test_ascii_is_ascii_in_as_many_cells(text: str) -> None:
    """Whatever is painted, nothing above 0x7f reaches the terminal, and no column moves."""
    said = to_ascii(text)
    assert said.isascii()
    assert len(said) == cell_len(text) or not text.isprintable()


def test_states_can_be_told_apart_in_ascii() -> None:
    """Every sign of ours has a stand-in of its own meaning; none is a question mark."""
    for signs in (LINKS, MODES, OBJECTS):
        texts = [to_ascii(sign.text) for sign in signs.values()]
        assert len(set(texts)) == len(texts)
        assert not any("?" in text for text in texts)
    assert len({to_ascii(glyph) for glyph in GLYPHS.values()}) == len(GLYPHS)


@pytest.mark.parametrize(
    ("environment", "utf8_mode", "needed"),
    [
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True, True),  # Python has set LC_CTYPE
        ({"LC_CTYPE": "C.UTF-8"}, True, True),
        ({"LC_ALL": "C"}, True, True),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, True, True),
        ({"LANG": "de_DE.ISO-8859-1", "LC_CTYPE": "C.UTF-8"}, True, True),
        ({"LANG": "de_DE", "LC_ALL": ""}, False, True),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False, False),  # the user has
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C", "PYTHONUTF8": "1"}, True, False),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "C.UTF-8"}, True, False),  # not installed here
        ({"LANG": "ca_ES.utf8@valencia"}, False, False),
    ],
)
def test_the_user_s_locale_decides_about_ascii(
    environment: dict[str, str],
    utf8_mode: bool,  # noqa: FBT001
    needed: bool,  # noqa: FBT001
) -> None:
    """Not Python's encoding: that is UTF-8 even with LANG=C."""
    assert is_needed(environment, utf8_mode=utf8_mode) is needed


def test_the_filter_leaves_styles_and_controls_alone() -> None:
    """Only texts change."""
    segments = [Segment("● live"), Segment("plain")]
    assert [segment.text for segment in AsciiFilter().apply(segments, Color(0, 0, 0))] == ["* live", "plain"]


# -- the pace ------------------------------------------------------------------------------------


def test_it_slows_down_when_the_loop_is_late_and_recovers() -> None:
    """Two updates a second are always shown, and a quiet machine is back at full pace by itself."""
    pace = Pace()
    for _ in range(WINDOW * 4):
        pace.tick(HIGH_S * 2)
    assert pace.every == SLOWEST
    painted = [pace.tick(0.0) for _ in range(SLOWEST)]
    assert painted.count(True) == 1
    for _ in range(WINDOW * 5):
        pace.tick(0.0)
    assert pace.every == 1


def test_a_chosen_pace_is_the_fastest() -> None:
    """--fps 2 stays at 2, however quiet the machine is."""
    pace = Pace(5)
    assert [pace.tick(0.0) for _ in range(50)].count(True) == 10


# -- settings ------------------------------------------------------------------------------------


def test_settings_are_read_and_every_mistake_is_a_warning(tmp_path: Path) -> None:
    """Good values count beside bad ones; nothing in the file can keep the dashboard from starting."""
    file = tmp_path / "tui.toml"
    file.write_text(
        'theme = "rts-light"\nfps = 99\nmouse = "no"\nnonsense = 1\nascii = true\n'
        '[keys]\n"app.mask" = "ctrl+x"\n"app.nothing" = "x"\n"app.quit" = "hyper+q"\n"app.ages" = "w"\n'
    )
    found = settings.load(file, KNOWN)
    assert (found.theme, found.ascii, found.mouse, found.fps) == ("rts-light", True, True, None)
    assert found.keys == {"app.mask": "ctrl+x"}
    told = " ".join(found.warnings)
    for word in ("fps", "mouse", "nonsense", "app.nothing", "hyper+q", "app.save"):
        assert word in told, word
    assert len(found.warnings) == 6


def test_presets_are_read_and_mistakes_in_them_are_warnings(tmp_path: Path) -> None:
    """A wrong key costs that key, not the preset."""
    file = tmp_path / "tui.toml"
    file.write_text('[presets.trouble]\nview = "2"\nfilter = "kind:error"\ncolour = "red"\nmask = "yes"\n')
    found = settings.load(file, KNOWN)
    assert found.presets == {"trouble": Preset(view="2", filter="kind:error")}
    assert len(found.warnings) == 2
    assert "a preset has view, filter, theme, mask" in found.warnings[0]


@pytest.mark.parametrize("content", [b"theme = ", b"\xff\xfe", b"keys = 3"])
def test_a_broken_settings_file_is_one_warning(tmp_path: Path, content: bytes) -> None:
    """And without a file there is nothing to say."""
    file = tmp_path / "tui.toml"
    assert settings.load(file, KNOWN).warnings == []
    file.write_bytes(content)
    assert len(settings.load(file, KNOWN).warnings) == 1


# -- files and the clipboard ---------------------------------------------------------------------


def test_files_are_new_private_and_never_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name twice makes two files; where this directory is no place, the state directory is."""
    monkeypatch.chdir(tmp_path)
    first, second = (saving.save("events", "txt", str(number), NOW) for number in (1, 2))
    assert (first.read_text(), second.read_text()) == ("1", "2")
    assert {path.stat().st_mode & 0o777 for path in (first, second)} == {0o600}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(Path, "cwd", lambda: Path("/proc/none"))
    assert saving.save("events", "txt", "3", NOW).parent == tmp_path / "state" / "rts"


def test_tmux_gets_the_clipboard_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare OSC 52 ends at tmux."""
    monkeypatch.delenv("TMUX", raising=False)
    assert saving.clipboard_sequence("a") == "\x1b]52;c;YQ==\a"
    monkeypatch.setenv("TMUX", "x")
    assert saving.clipboard_sequence("a") == "\x1bPtmux;\x1b\x1b]52;c;YQ==\a\x1b\\"


# -- answers -------------------------------------------------------------------------------------


def test_a_question_is_due_when_it_is_old_and_never_twice_at_once() -> None:
    """An older daemon, which cannot know, is left in peace until it comes back."""
    answer: CachedDocument[int] = CachedDocument("x")
    assert answer.is_due(NOW, 5)
    answer.requested_at, answer.loading = NOW, True
    assert not answer.is_due(NOW + timedelta(hours=1), 5)
    answer.loading = False
    assert [answer.is_due(NOW + timedelta(seconds=age), 5) for age in (4, 5)] == [False, True]
    assert not answer.is_due(NOW + timedelta(days=1), None)
    answer.unsupported = True
    assert not answer.is_due(NOW + timedelta(days=1), 5)


def test_answers_are_bounded_and_renewed_by_kind() -> None:
    """A day of looking at records costs no more memory than an hour."""
    cache = DocumentCache()

    async def nothing(_: object) -> int:
        return 0

    for number in range(KEPT * 2):
        cache.get(DocumentRequest(f"record {number}", "x", nothing)).requested_at = NOW
    kept = cache.get(DocumentRequest(f"record {KEPT * 2 - 1}", "x", nothing))
    assert kept.requested_at == NOW
    assert cache.get(DocumentRequest("record 0", "x", nothing)).requested_at is None
    cache.expire("why")
    assert kept.requested_at == NOW
    cache.expire("record")
    assert kept.requested_at is None


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_dead_terminal_does_not_change_the_exit_status(stream: str) -> None:
    """What it did not take is given up."""
    script = f"import sys; from rtstui.__main__ import leave; sys.{stream}.write('unwritten'); leave(129)"
    read, write = os.pipe()
    os.close(read)
    out, err = (write, None) if stream == "stdout" else (None, write)
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    ended = subprocess.run([sys.executable, "-c", script], check=False, stdout=out, stderr=err, env=env)
    os.close(write)
    assert ended.returncode == 129
