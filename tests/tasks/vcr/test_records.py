"""The reader of VCR's annotations and metadata: what is read, and what is refused."""

import json
import re

import pytest
from vcr_world import metadata, record, write_lines

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.objects import METADATA, mentioned_objects, most_mentions, parse_objects, read_objects
from mmf_visualbert.tasks.vcr.ontology import CLASS_IDS
from mmf_visualbert.tasks.vcr.records import VcrAnnotations


def annotations(tmp_path, *lines, labels_required=True):
    return VcrAnnotations([write_lines(tmp_path / "train.jsonl", list(lines))], labels_required=labels_required)


def test_a_record_is_read_by_its_place_in_several_files(tmp_path):
    first = write_lines(tmp_path / "one.jsonl", [record(annot_id="train-0"), record(annot_id="train-1")])
    first.write_text(first.read_text().replace("\n", "\n\n", 1))
    second = write_lines(tmp_path / "two.jsonl", [record(annot_id="train-2", question=["Why", "é", "?"])])
    read = VcrAnnotations([first, second], labels_required=True)
    assert [each.annot_id for each in read] == ["train-0", "train-1", "train-2"]
    assert read[1].where == f"{first}:3 (train-1)"
    assert read[2].question == ["Why", "é", "?"]
    assert (read[0].answer_label, read[0].rationale_label) == (0, 3)
    assert read[0].answers[2] == [[0, 1], "likes", [1], "."]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"question": ["Is", [4], "?"]}, "tag 4, but the frame has the objects 0 to 3"),
        ({"question": ["Is", [-1], "?"]}, "tag -1"),
        ({"question": ["Is", [True], "?"]}, r"question\[1\]\[0\] is true, and a whole number is expected"),
        ({"question": ["Is", 3, "?"]}, r"question\[1\] is 3, and text or a list is expected"),
        ({"question": ["Is", [], "?"]}, "neither a word nor a list"),
        ({"question": []}, "'question' is empty"),
        ({"answer_choices": [["a"], ["b"], [" "], ["c"]]}, "'answer_choices\\[2\\]' is empty"),
        ({"rationale_choices": [["a"], ["b"], [], ["c"]]}, "'rationale_choices\\[2\\]' is empty"),
        ({"answer_choices": [["a"], ["b"], ["c"]]}, "does not hold 4 choices"),
        ({"objects": ["person", "person", "wizard", "car"]}, "object 2 is a 'wizard'"),
        ({"objects": None}, "has no 'objects'"),
        ({"answer_label": None}, "no 'answer_label'"),
        ({"rationale_label": None}, "no 'rationale_label'"),
        ({"answer_label": 4}, "'answer_label' is 4"),
    ],
)
def test_faults_name_file_line_and_id(tmp_path, changes, says):
    read = annotations(tmp_path, record(), record(annot_id="train-9", **changes))
    where = re.escape(f"{tmp_path / 'train.jsonl'}:2 (train-9)")
    with pytest.raises(InputError, match=f"{where}.*{says}"):
        list(read)


def test_only_a_test_split_may_lack_labels(tmp_path):
    unlabelled = record(answer_label=None, rationale_label=None)
    assert annotations(tmp_path, unlabelled, labels_required=False)[0].answer_label is None


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="missing"):
        VcrAnnotations([tmp_path / "none.jsonl"], labels_required=True)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match="no record"):
        VcrAnnotations([tmp_path / "empty.jsonl"], labels_required=True)
    (tmp_path / "cut.jsonl").write_text(json.dumps(record())[:50])
    with pytest.raises(InputError, match=r"cut.jsonl:1 is truncated"):
        VcrAnnotations([tmp_path / "cut.jsonl"], labels_required=True)[0]


def test_mentioned_objects(tmp_path):
    plain = [["a"]] * 4
    nothing = {"question": ["why"], "answer_choices": plain, "rationale_choices": plain}
    objects = ["car", "person", "dog", "person"]
    read = annotations(
        tmp_path,
        record(),
        record(**{**nothing, "question": ["why", [3, 2]]}, objects=objects),
        record(**{**nothing, "rationale_choices": [*plain[:3], [[0]]]}, objects=objects),
        record(**{**nothing, "question": ["Everyones", [0]]}, objects=objects),
        record(**nothing, objects=objects),
        record(**nothing, objects=["car"]),
    )
    assert [mentioned_objects(each) for each in read] == [[0, 1, 2], [2, 3], [0], [0, 1, 3], [1, 3], []]


def test_most_mentions_bounds_every_sequence(tmp_path):
    # Object 1: once in the question, at most twice in an answer, at most once in a rationale.
    assert most_mentions(annotations(tmp_path, record())[0]) == {1: 4, 0: 2, 2: 2}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"segms": []}, "4 boxes, 0 segms and 4 names"),
        ({"boxes": None}, "has no 'boxes'"),
        ({"width": 90}, "box 1 .* outside its frame of 90x40"),
        ({"boxes": [[0, 0, 5, 5], [0, 0, 5, 5], [3, 3, 3, 9], [0, 0, 1, 1]]}, "box 2 .* without area"),
        ({"boxes": [[0, 0, 5, 5], [0, 0, 5, 5], [3, 9, 5, 3], [0, 0, 1, 1]]}, "box 2 .* without area"),
        (
            {"boxes": [[0, 0, 5], [0, 0, 5, 5], [3, 3, 3, 9], [0, 0, 1, 1]]},
            r"boxes\[0\] is \[0, 0, 5\], and a list of length >= 4",
        ),
        ({"segms": [[], [], [[1, 2, 3]], []]}, r"segms\[2\]\[0\]\[0\] is 1, and a list is expected"),
        ({"names": ["person", "person", "wizard", "car"]}, "calls object 2 'wizard'"),
    ],
)
def test_faulty_metadata(changes, says):
    fields = {name: value for name, value in {**metadata("a"), **changes}.items() if value is not None}
    with pytest.raises(InputError, match=f"a.json.*{says}"):
        parse_objects(METADATA.convert(fields, "a.json"), "a.json")


def test_metadata_of_another_record(tmp_path):
    read = annotations(tmp_path, record(objects=["person", "car", "car", "dog"]))[0]
    (tmp_path / "a.json").write_text(json.dumps(metadata("a")))
    with pytest.raises(InputError, match=r"train.jsonl:1 \(train-0\).*not the 4 of the metadata"):
        read_objects(tmp_path / "a.json", read)
    with pytest.raises(InputError, match=r"train.jsonl:1 \(train-0\).*is missing"):
        read_objects(tmp_path / "b.json", read)


def test_names_with_spaces_as_gd_vcr_writes_them(tmp_path):
    spaced, joined = ["person", "person", "cell phone", "car"], metadata("a")["names"]
    for of_record, of_metadata in ((spaced, spaced), (spaced, joined), (joined, spaced)):
        read = annotations(tmp_path, record(objects=of_record))[0]
        assert read.objects == ("person", "person", "cellphone", "car")
        assert read.query().objects == read.objects
        (tmp_path / "a.json").write_text(json.dumps({**metadata("a"), "names": of_metadata}))
        assert read_objects(tmp_path / "a.json", read).classes.tolist() == [1, 1, 68, 3]


def test_names_as_detectors_write_them():
    fields = {**metadata("a"), "names": ["1 (person)", "2 (person)", "3 (cell phone)", "car"]}
    assert parse_objects(METADATA.convert(fields, ""), "").classes.tolist() == [1, 1, 68, 3]


def test_ontology_is_the_official_one(shared):
    official = json.loads((shared / "realdata/vcr/cocoontology.json").read_text())
    names = [official[number]["name"] for number in sorted(official, key=int)]
    assert [CLASS_IDS[name] for name in names] == list(range(1, 81))


def test_real_record(shared):
    folder = shared / "realdata/vcr"
    (read,) = VcrAnnotations([folder / "val.jsonl"], labels_required=True)
    assert (read.annot_id, read.answer_label, read.rationale_label) == ("val-1", 2, 3)
    assert mentioned_objects(read) == [0, 1, 2]
    objects = read_objects(folder / "vcr1images" / read.metadata, read)
    assert objects.boxes.shape == (6, 4) and (objects.width, objects.height) == (1920, 797)
    assert [len(polygons[0]) for polygons in objects.polygons] == [234, 337, 112, 85, 40, 45]
