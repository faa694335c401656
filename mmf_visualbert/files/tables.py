"""Rows of csv and tsv files."""

import csv
from collections.abc import Iterator
from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.files.text import read_lines

_LONGEST_FIELD = (1 << 31) - 1  # bytes; the features of an image are one field


def read_rows(path: str | Path, delimiter: str = ",", quoted: bool = True) -> Iterator[tuple[int, list[str]]]:
    """(number of its last line from 1, fields) of each row; empty rows have no field.

    Args:
        path: the file, plain or gzipped.
        delimiter: between two fields.
        quoted: whether a field may stand in quotation marks, with delimiters and line ends within; otherwise they are
            characters as all others.

    Raises:
        InputError: missing, empty, no text in UTF-8, or no table.
    """
    csv.field_size_limit(_LONGEST_FIELD)  # of the process; it has no other
    rows = csv.reader(
        (f"{line}\n" for line in read_lines(path)),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(
                f"{path} is no table after line {rows.line_num} ({error}); make or download it again"
            ) from error
        yield rows.line_num, row
