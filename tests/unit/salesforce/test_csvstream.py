"""Bulk results: bytes in pieces of any size become exactly the records that were sent."""

from __future__ import annotations

import gzip
import itertools
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsd.salesforce import csvstream
from rtsd.salesforce.csvstream import CsvParser, MalformedCsv, whole_records
from tests.support.csv_text import as_csv

CELL = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(
    ['"', '""', ",", "\n", "\r\n", "\r", '"\n"', "a\nb,c", "\x0b\x0c\x1c\u2028\u0085", "😀\n", "'"]
)


def read(data: bytes, cuts: list[int], *, compressed: bool = False) -> list[list[str]]:
    records = CsvParser(compressed=compressed)
    rows: list[list[str]] = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        rows += itertools.chain.from_iterable(part.rows() for part in records.feed(data[start:end]))
    rows += itertools.chain.from_iterable(part.rows() for part in records.finish())
    return [records.header, *rows]


@given(
    table=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=8)
    ),
    cuts=st.lists(st.integers(0, 10_000), max_size=20),
    compressed=st.booleans(),
)
def test_any_table_comes_back_whatever_the_borders(
    table: list[list[str]], cuts: list[int], *, compressed: bool
) -> None:
    """No text, quote or line break is changed by where the network cut the stream."""
    data = as_csv(table)
    assert read(gzip.compress(data) if compressed else data, cuts, compressed=compressed) == table


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=2, max_size=8)
    )
)
def test_quoted_records_stay_text(table: list[list[str]]) -> None:
    """Records that SQLite may read are left as they are, and counted; what looks like more is parsed."""
    parser = CsvParser()
    found = parser.feed(as_csv(table))
    assert sum(part.count for part in found) == len(table) - 1
    for part in found:
        assert part.parsed is not None or part.data == as_csv(table[1:])
    if not any('"' in cell or "," in cell for row in table for cell in row):
        assert [part.parsed for part in found] == [None]


@pytest.mark.parametrize("line", [b'"1",2', b'1,"2"', b"1,2", b'"1"x,"2"', b'"1","2"x'])
def test_other_records_are_parsed_at_once(line: bytes) -> None:
    """Values without quotes, or with text behind one, are no text for SQLite; damage is found here."""
    parser = CsvParser()
    try:
        (part,) = parser.feed(b'"A","B"\n' + line + b'\n"3","4"\n')
    except MalformedCsv:
        assert b"x" in line
    else:
        assert part.parsed == [["1", "2"], ["3", "4"]]


def test_every_single_byte_border() -> None:
    """A border between any two bytes, also inside a character and between doubled quotes, is harmless."""
    table = [["Id", "Name"], ["1", 'a"b\nc,"😀\r\n'], ["2", '"'], ["3", "\n\n"]]
    data = as_csv(table)
    assert read(data, list(range(len(data)))) == table


def test_nulls_are_stripped() -> None:
    """NUL bytes, which occur on the wire only, do not reach the rows."""
    assert read(b'"Id"\n"a\0b"\n', []) == [["Id"], ["ab"]]


def test_a_byte_order_mark_is_not_part_of_the_first_name() -> None:
    """A mark at the start of a page is dropped."""
    assert read(b'\xef\xbb\xbf"Id"\n"1"\n', []) == [["Id"], ["1"]]


def test_unquoted_values_and_a_missing_last_newline() -> None:
    """Values without quotes are read too, and the last record needs no newline."""
    assert read(b"Id,Name\n1,\n2,b", [4, 9]) == [["Id", "Name"], ["1", ""], ["2", "b"]]


def test_cells_of_the_longest_text() -> None:
    """131,072 characters in one cell are more than the csv module takes by default."""
    table = [["Id", "Text"], ["1", 'ä\n"' * 43_690]]
    data = as_csv(table)
    assert read(data, list(range(0, len(data), 7_001))) == table


def test_an_empty_page_is_empty() -> None:
    """Neither a header alone nor an empty body has rows."""
    assert read(b'"Id","Name"\n', []) == [["Id", "Name"]]
    assert read(b"", []) == [[]]
    assert read(b"", [], compressed=True) == [[]]


@pytest.mark.parametrize(
    "data",
    [
        b'"Id","Name"\n"1"\n',
        b'"Id","Name"\n"1","a","b"\n',
        b'"Id"\n"1',
        b'"Id"\n"1"x\n',
        b'"Id"\n"\xff\xfe"\n',
    ],
    ids=["too few", "too many", "cut inside a value", "text behind a quote", "not UTF-8"],
)
def test_what_is_no_such_csv_is_refused(data: bytes) -> None:
    """Damage is an error, never a shorter or shifted row."""
    with pytest.raises(MalformedCsv):
        read(data, [])


def test_cut_or_damaged_compression_is_refused() -> None:
    """A gzip stream that ends early may look like whole CSV: it is an error all the same."""
    packed = gzip.compress(as_csv([["Id"], *([str(n)] for n in range(1000))]))
    with pytest.raises(MalformedCsv, match="truncated"):
        read(packed[:-9], [], compressed=True)
    with pytest.raises(MalformedCsv, match="damaged"):
        read(packed[:200] + b"\xff" * 50 + packed[250:], [], compressed=True)


def test_highly_compressed_data_comes_whole() -> None:
    """What one compressed piece holds may exceed what is inflated at a time."""
    table = [["Id"], *[["x" * 1000]] * 3000]
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = packer.compress(as_csv(table)) + packer.flush()
    assert len(packed) < 10_000
    assert read(packed, [], compressed=True) == table


def test_an_unbalanced_quote_does_not_gather_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that never ends is an error long before memory is."""
    monkeypatch.setattr(csvstream, "MAX_RECORD_BYTES", 10_000)
    records = CsvParser()
    assert records.feed(b'"x"\n"' + b"y" * 9_000) == []
    with pytest.raises(MalformedCsv, match="quote is missing"):
        records.feed(b"y" * 2_000)


def test_whole_records_ends_before_an_open_value() -> None:
    """The end of the last whole record is found though newlines follow inside quotes."""
    assert whole_records(b'"a"\n"b\nc\n') == 4
    assert whole_records(b'"b\nc\n') == 0
    assert whole_records(b'"a"\n"b\nc"\n"d') == 10
