"""Rows of the mirror as CSV and as Parquet, written as they come."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import time
from itertools import compress
from typing import Any, BinaryIO, Protocol

from rtsd.control.protocol import ExportedColumn
from rtsd.core.extras import how_to_add
from rtsd.errors import UsageError

ROWS_PER_GROUP = 100_000
"""Rows of a Parquet row group: they are held in memory, as compactly as in a file without compression."""

Rows = Sequence[Sequence[Any]]


class RowFile(Protocol):
    """A file of rows that is being written."""

    def write(self, rows: Rows) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what is left; the file stays open."""


class CsvFile:
    """CSV after RFC 4180: a line of names, an empty cell for NULL, true and false for booleans."""

    def __init__(self, file: BinaryIO, columns: Sequence[ExportedColumn]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
        self._lines = csv.writer(self._text)
        is_boolean = [column.type == "boolean" for column in columns]
        self._booleans = tuple(compress(range(len(columns)), is_boolean))
        self._lines.writerow([column.name for column in columns])

    def write(self, rows: Rows) -> None:
        """Add rows."""
        self._lines.writerows(map(self._told, rows) if self._booleans else rows)

    def _told(self, row: Sequence[Any]) -> list[Any]:
        told = list(row)
        for place in self._booleans:
            value = told[place]
            told[place] = None if value is None else "true" if value else "false"
        return told

    def close(self) -> None:
        """Write what is left."""
        self._text.flush()
        self._text.detach()


class ParquetFile:
    """Parquet with typed columns. Raises UsageError where pyarrow is not installed."""

    def __init__(self, file: BinaryIO, columns: Sequence[ExportedColumn]) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError as error:
            raise UsageError(
                f"Parquet needs the package {error.name}",
                f"{how_to_add('parquet')}; or write CSV",
            ) from error
        self._arrow: Any = pa
        types = {
            "boolean": pa.bool_(),
            "int": pa.int64(),
            "real": pa.float64(),
            "date": pa.date32(),
            "datetime": pa.timestamp("ms", tz="UTC"),
            "time": pa.time32("ms"),
        }
        fields = [(column.name, types.get(column.type, pa.string())) for column in columns]
        self._schema = pa.schema(fields)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._batches: list[Any] = []
        self._held = 0

    def write(self, rows: Rows) -> None:
        """Add rows; a group is written once it is full."""
        arrays = map(self._array, self._schema, zip(*rows, strict=True))
        self._batches.append(self._arrow.RecordBatch.from_arrays(list(arrays), schema=self._schema))
        self._held += len(rows)
        if self._held >= ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._batches:
            self._writer.write_table(self._arrow.Table.from_batches(self._batches, self._schema))
        self._batches, self._held = [], 0

    def _array(self, field: Any, values: Sequence[Any]) -> Any:
        """Return a column's values in its type: moments are texts in the mirror."""
        arrow, kind = self._arrow, field.type
        if arrow.types.is_boolean(kind):
            return arrow.array([None if value is None else bool(value) for value in values], kind)
        if arrow.types.is_time(kind):  # Arrow reads no times of texts
            times = [
                None if value is None else time.fromisoformat(value).replace(tzinfo=None) for value in values
            ]
            return arrow.array(times, kind)
        if arrow.types.is_temporal(kind):
            return arrow.array(values, arrow.string()).cast(kind)
        return arrow.array(values, kind)


FORMATS: dict[str, type[CsvFile | ParquetFile]] = {"csv": CsvFile, "parquet": ParquetFile}
