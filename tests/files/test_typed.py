"""JSON by declared schemas: what does not fit is said with file, record, field and what was there."""

import gzip
from typing import Annotated

import msgspec
import numpy as np
import pytest
from msgspec import Meta

from mmf_visualbert.errors import InputError
from mmf_visualbert.files.typed import AT_ONCE, Name, Number, Pixels, Schema, Text, records_of


class Record(msgspec.Struct):
    id: Number
    text: Text = ""
    image: Number | Name | None = None
    box: Annotated[list[float], Meta(min_length=4, max_length=4)] | None = None
    width: Pixels = 1
    counts: dict[str, int] | None = None


class Holder(msgspec.Struct):
    records: list[msgspec.Raw]


RECORD = Schema(Record)
REFUSED = {
    b'{"id": 123.7}': "f: id is 123.7, and a whole number is expected; correct it, or get the file again",
    b'{"id": true}': "f: id is true, and a whole number is expected",
    b'{"id": "7"}': 'f: id is "7", and a whole number is expected',
    b'{"id": null}': "f: id is null, and a whole number is expected",
    b'{"id": 9223372036854775808}': "f: id is 9223372036854775808, and a whole number <= 9223372036854775807",
    b'{"id": 1e400}': "f: id is Infinity, and number out of range",
    b'{"id": NaN}': "f is no valid json, as it has NaN or Infinity, which JSON does not know",
    b"{}": "f has no 'id'; correct it",
    b"[]": "f: it is [], and an object is expected",
    b'{"id": 1, "text": 3}': "f: text is 3, and text is expected",
    b'{"id": 1, "image": ""}': 'f: image is "", and text of length >= 1 is expected',
    b'{"id": 1, "image": []}': "f: image is [], and a whole number or text or null is expected",
    b'{"id": 1, "box": [1, 2, 3]}': "f: box is [1, 2, 3], and a list of length >= 4 is expected",
    b'{"id": 1, "box": [1, 2, 3, "x"]}': 'f: box[3] is "x", and a number is expected',
    b'{"id": 1, "width": 0}': "f: width is 0, and a whole number >= 1 is expected",
    b'{"id": 1, "counts": {"a": "x"}}': "f: counts[...] is something else, and a whole number is expected",
    b'{"id": 1': "f is truncated at line 1 column 9",
    b'{"id": 1} x': "f is no valid json at line 1 column 11",
    b'{"id": 1, "text": "\xff"}': "f is no text in UTF-8 (0xff at byte 19)",
    b'{"id": 1, "deep": ' + b"[" * 100_000: "f is no valid json: its lists or objects are nested too deep",
    b'{"id": ' + b"1" * 6000 + b"}": "f: id is something else, and integer value out of range",
}


@pytest.mark.parametrize(("raw", "said"), REFUSED.items(), ids=[raw[:30].decode("latin1") for raw in REFUSED])
def test_refused(raw, said):
    with pytest.raises(InputError) as caught:
        RECORD.decode(raw, "f")
    assert str(caught.value).startswith(said)
    assert len(str(caught.value)) < 400


def test_half_an_emoji_is_the_sign_for_what_cannot_be_read():
    for raw in (
        rb'{"id": 1, "text": "a \ud83d"}',
        rb'{"id": 1, "text": "a \uDE00"}',
        b'{"id":1,"text":"a \xed\xa0\xbd"}',
    ):
        assert RECORD.decode(raw, "f").text == "a \ufffd"
    assert RECORD.decode(rb'{"id": 1, "text": "\ud83d\ude00 \\ud83d"}', "f").text == "\U0001f600 \\ud83d"


def test_files_of_one_value_and_of_lines(tmp_path):
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(
        gzip.compress(b'\xef\xbb\xbf{"id": 1}\r\n\r\n{"id": 2, "other": [NULL]}\r\n'.replace(b"NULL", b"null"))
    )
    assert [(number, record.id) for number, record in RECORD.read_lines(path)] == [(1, 1), (3, 2)]
    path = tmp_path / "whole.json"
    path.write_bytes('{"records": [{"id": 1}, {"id": 2.5}]}'.encode("utf-16"))
    raw = Schema(Holder).read(path).records
    with pytest.raises(InputError, match=r"whole\.json, records\[1\]: id is 2\.5"):
        list(records_of(path, "records", raw, RECORD))


def test_a_long_list_is_read_in_parts_and_its_faults_are_named_alike():
    count = 2 * AT_ONCE + 9
    good = [b'{"id": %d}' % number for number in range(count)]
    assert [one.id for one in records_of("f.json", "records", good, RECORD)] == list(range(count))
    broken = [*good]
    broken[AT_ONCE + 1], broken[-1] = b'{"id": true}', b"{}"
    read = records_of("f.json", "records", broken, RECORD)
    with pytest.raises(InputError, match=rf"^f.json, records\[{AT_ONCE + 1}\]: id is true"):
        list(read)
    half = [*good[:-1], rb'{"id": 1, "text": "a\ud800"}']
    assert [*records_of("f.json", "records", half, RECORD)][-1].text == "a\ufffd"


def test_records_of_pickles_have_numpys_numbers_too():
    record = {"id": np.int64(3), "box": np.array([0, 0, 1, 1], np.float32), "text": "x"}
    assert RECORD.convert(record, "f").box == [0, 0, 1, 1]
    for value, said in ((np.float32(1.5), "id is 1.5"), (np.array([1, 2]), r"id is \[1, 2\]"), (b"1", "id is")):
        with pytest.raises(InputError, match=f"f: {said}.*a whole number is expected"):
            RECORD.convert({"id": value}, "f")
