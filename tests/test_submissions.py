import csv
import importlib.util
import json
from pathlib import Path

import pytest

from mmf_visualbert import submissions
from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.leaderboard import VCR_COLUMNS

TOOL = Path(__file__).parents[1] / "tools" / "submission.py"


def load_tool():
    spec = importlib.util.spec_from_file_location("submission_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_json(path, content):
    path.write_text(json.dumps(content))
    return path


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def flickr30k_files(folder):
    for name in ("Sentences", "Annotations"):
        (folder / name).mkdir()
    (folder / "test.txt").write_text("36979\n")
    (folder / "Sentences" / "36979.txt").write_text(
        "[/EN#1/people A man] sees [/EN#2/animals a dog] .\n[/EN#1/people He] laughs in [/EN#0/notvisual the end] .\n"
    )
    boxes = "".join(
        f"<object><name>{chain}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
        for chain in (1, 2)
    )
    (folder / "Annotations" / "36979.xml").write_text(
        f"<annotation><size><width>10</width><height>10</height><depth>3</depth></size>{boxes}</annotation>"
    )
    return folder / "test.txt"


def vcr_scores(start):
    return {"answer": [start, 1, 2, 3], "rationale": [[start, 0.5, -1e-7, 3]] * 4}


@pytest.fixture
def worlds(tmp_path):
    """Per task: the annotations, and good predictions of them in another order."""
    questions = {"questions": [{"question_id": 10 * i, "image_id": i, "question": "?"} for i in range(1, 4)]}
    pairs = [{"identifier": f"test1-1-{i}-0", "sentence": "a dog", "label": "True"} for i in range(3)]
    return {
        "vqa2": (
            write_json(tmp_path / "questions.json", questions),
            [{"question_id": 10 * i, "answer": answer} for i, answer in [(3, "2"), (1, "yes"), (2, 'a "b", c')]],
        ),
        "nlvr2": (
            write_lines(tmp_path / "test1.json", pairs),
            [{"identifier": f"test1-1-{i}-0", "prediction": str(i == 1)} for i in (2, 0, 1)],
        ),
        "vcr": (
            write_lines(tmp_path / "test.jsonl", [{"annot_id": f"test-{i}"} for i in range(3)]),
            [{"annot_id": f"test-{i}", **vcr_scores(i)} for i in (1, 2, 0)],
        ),
        "flickr30k": (
            flickr30k_files(tmp_path),
            [
                {"image_id": "36979", "sentence": s, "first_word": w, "box": box, "phrase": "", "chain": 1}
                for s, w, box in [(2, 0, None), (1, 3, [0.0, 0.0, 5.5, 5.5]), (1, 0, [1, 1, 9, 9])]
            ],
        ),
    }


TASKS = ["vqa2", "nlvr2", "vcr", "flickr30k"]


@pytest.mark.parametrize("task", TASKS)
def test_what_is_written_passes_the_check(worlds, task, tmp_path):
    annotations, predictions = worlds[task]
    path = tmp_path / "out" / "submission"
    written = submissions.write(task, [*predictions, predictions[0]], path, annotations)
    assert written == (3, 1)
    assert submissions.check(task, path, annotations) == 3
    assert [file.name for file in path.parent.iterdir()] == ["submission"]


def test_the_formats_to_the_letter(worlds, tmp_path):
    texts = {}
    for task, (annotations, predictions) in worlds.items():
        submissions.write(task, predictions, tmp_path / task, annotations)
        texts[task] = (tmp_path / task).read_text()
    assert json.loads(texts["vqa2"]) == [
        {"question_id": 10, "answer": "yes"},
        {"question_id": 20, "answer": 'a "b", c'},
        {"question_id": 30, "answer": "2"},
    ]
    assert texts["nlvr2"] == "test1-1-0-0,False\ntest1-1-1-0,True\ntest1-1-2-0,False\n"
    rows = list(csv.reader(texts["vcr"].splitlines()))
    assert (
        rows[0]
        == (
            "annot_id answer_0 answer_1 answer_2 answer_3 "
            "rationale_conditioned_on_a0_0 rationale_conditioned_on_a0_1 rationale_conditioned_on_a0_2 "
            "rationale_conditioned_on_a0_3 rationale_conditioned_on_a1_0 rationale_conditioned_on_a1_1 "
            "rationale_conditioned_on_a1_2 rationale_conditioned_on_a1_3 rationale_conditioned_on_a2_0 "
            "rationale_conditioned_on_a2_1 rationale_conditioned_on_a2_2 rationale_conditioned_on_a2_3 "
            "rationale_conditioned_on_a3_0 rationale_conditioned_on_a3_1 rationale_conditioned_on_a3_2 "
            "rationale_conditioned_on_a3_3"
        ).split()
    )
    assert [row[0] for row in rows[1:]] == ["test-0", "test-1", "test-2"]
    assert [float(cell) for cell in rows[3][1:]] == [2, 1, 2, 3, *([2, 0.5, -1e-7, 3] * 4)]
    assert json.loads(texts["flickr30k"]) == [
        {"image_id": "36979", "sentence": 1, "first_word": 0, "box": [1, 1, 9, 9]},
        {"image_id": "36979", "sentence": 1, "first_word": 3, "box": [0.0, 0.0, 5.5, 5.5]},
        {"image_id": "36979", "sentence": 2, "first_word": 0, "box": None},
    ]


def test_the_official_nlvr2_script_reads_it(shared, tmp_path):
    """Its reader: one `identifier,prediction` a line, as many as there are examples."""
    path = shared / "realdata" / "nlvr2" / "dev.json"
    labels = {r["identifier"]: r["label"] for r in map(json.loads, path.read_text().splitlines())}
    predictions = [{"identifier": i, "prediction": label} for i, label in labels.items()]
    submissions.write("nlvr2", reversed(predictions), tmp_path / "dev.csv", path)
    assert submissions.check("nlvr2", tmp_path / "dev.csv", path) == 6982
    read = dict(line.strip().split(",") for line in (tmp_path / "dev.csv").open())
    assert read == labels and list(read) == list(labels)


VQA2 = [{"question_id": i, "answer": "yes"} for i in (10, 20, 30)]
NLVR2 = ["test1-1-0-0,True", "test1-1-1-0,False", "test1-1-2-0,True"]
VCR = [",".join(VCR_COLUMNS), *(f"test-{i}" + ",0.5" * 20 for i in range(3))]
FLICKR = [
    {"image_id": "36979", "sentence": s, "first_word": w, "box": [1, 1, 2, 2]} for s, w in [(1, 0), (1, 3), (2, 0)]
]


@pytest.mark.parametrize(
    ("task", "content", "message"),
    [
        ("vqa2", VQA2[:1], r"the question 20 is missing \(2 faults in all\)"),
        ("vqa2", [*VQA2, VQA2[1]], r"entry 3: the question 20 stands there a second time \(1 fault in all\)"),
        ("vqa2", [*VQA2[:2], {"question_id": 31, "answer": "no"}], r"entry 2: the question 31 is not in .*\(2 faults"),
        ("vqa2", [*VQA2[:2], {"question_id": 30, "answer": "<unk>"}], "entry 2: the answer of question 30 is '<unk>'"),
        ("vqa2", [*VQA2[:2], {"question_id": 30, "answer": 2}], "entry 2: the answer of question 30 is 2 "),
        ("vqa2", [*VQA2[:2], {"question_id": "30", "answer": "no"}], "entry 2: the question_id '30' is no integer"),
        ("vqa2", [*VQA2[:2], {"question_id": [30], "answer": "no"}], "entry 2: the question_id .30. is no integer"),
        ("vqa2", [*VQA2[:2], {"question_id": 30}], "entry 2: it has no 'answer'"),
        ("vqa2", [*VQA2[:2], {**VQA2[2], "score": 1}], "entry 2: it has the field 'score' too much"),
        ("vqa2", [*VQA2[:2], 30], "entry 2: 30 is no object"),
        ("vqa2", {"10": "yes"}, "is no json list"),
        ("nlvr2", NLVR2[:2], r"the example test1-1-2-0 is missing \(1 fault in all\)"),
        ("nlvr2", [*NLVR2, NLVR2[0]], "line 4: the example test1-1-0-0 stands there a second time"),
        ("nlvr2", ["identifier,prediction", *NLVR2], "line 1: the prediction of identifier is 'prediction'"),
        ("nlvr2", [*NLVR2[:2], "test1-1-2-0,1"], "line 3: the prediction of test1-1-2-0 is '1' instead of True"),
        ("nlvr2", [*NLVR2[:2], "test1-1-2-0"], "line 3: it has 1 columns"),
        ("nlvr2", [NLVR2[0], "", *NLVR2[1:]], "line 2: it has 0 columns"),
        ("nlvr2", [*NLVR2, "dev-1-1-0,True"], "line 4: the example dev-1-1-0 is not in the annotations"),
        ("vcr", VCR[1:], r"line 1: the header lacks 'annot_id' \(4 faults in all\)"),
        ("vcr", [VCR[0].replace("a3_3", "a33"), *VCR[1:]], "line 1: the header lacks 'rationale_conditioned_on_a3_3'"),
        ("vcr", [VCR[0].replace("answer_0,answer_1", "answer_1,answer_0"), *VCR[1:]], "in another order"),
        ("vcr", VCR[:3], "the question test-2 is missing"),
        ("vcr", [*VCR, VCR[1]], "line 5: the question test-0 stands there a second time"),
        ("vcr", [*VCR[:3], VCR[3][:-4]], "line 4: it has 20 columns instead of 21"),
        ("vcr", [*VCR[:3], VCR[3][:-3] + "nan"], "line 4: rationale_conditioned_on_a3_3 of test-2 is 'nan' instead of"),
        ("flickr30k", FLICKR[:2], "the phrase 36979 2 0 is missing"),
        ("flickr30k", [*FLICKR, FLICKR[0]], "entry 3: the phrase 36979 1 0 stands there a second time"),
        ("flickr30k", [*FLICKR[:2], {**FLICKR[2], "box": [1, 1, 1, 2]}], r"the phrase 36979 2 0 is \[1, 1, 1, 2\]"),
        ("flickr30k", [*FLICKR[:2], {**FLICKR[2], "image_id": 36979}], "entry 2: image_id is no string"),
        ("flickr30k", [*FLICKR, {**FLICKR[2], "first_word": 3}], "entry 3: the phrase 36979 2 3 is not in"),
    ],
)
def test_each_fault_is_named_and_counted(worlds, tmp_path, task, content, message):
    path = tmp_path / "submission"
    is_lines = isinstance(content, list) and isinstance(content[0], str)
    path.write_text("\n".join(content) + "\n" if is_lines else json.dumps(content))
    with pytest.raises(InputError, match=message) as error:
        submissions.check(task, path, worlds[task][0])
    assert str(path) in str(error.value)


def test_an_incomplete_report_writes_nothing_and_keeps_the_older_file(worlds, tmp_path):
    annotations, predictions = worlds["nlvr2"]
    path = tmp_path / "out.csv"
    path.write_text("older")
    with pytest.raises(InputError, match=r"out\.csv is no valid nlvr2 submission: the example test1-1-1-0 is missing"):
        submissions.write("nlvr2", predictions[:2], path, annotations)
    assert path.read_text() == "older"
    assert not list(tmp_path.glob("*.partial"))


def test_predictions_of_another_task_are_refused(worlds, tmp_path):
    with pytest.raises(InputError, match=r"prediction 0 is no nlvr2 prediction \(KeyError: 'identifier'\)"):
        submissions.write("nlvr2", worlds["vqa2"][1], tmp_path / "out.csv")
    with pytest.raises(InputError, match="prediction 0 is no vqa2 prediction"):
        submissions.write("vqa2", ["yes"], tmp_path / "out.json")
    short = [{"annot_id": "test-0", "answer": [1, 2, 3], "rationale": [[0] * 4] * 4}]
    with pytest.raises(InputError, match="the scores of test-0 are not 4 and 4 x 4"):
        submissions.write("vcr", short, tmp_path / "out.csv")
    assert not list(tmp_path.glob("out*"))


def test_an_unknown_task_lists_the_known():
    with pytest.raises(InputError, match="there is no task 'gqa'; name one of flickr30k, nlvr2, table, vcr, vqa2"):
        submissions.leaderboard("gqa")


def test_the_command_line(worlds, tmp_path, capsys):
    tool = load_tool()
    annotations, predictions = worlds["nlvr2"]
    report = write_json(tmp_path / "report.json", [*predictions, predictions[0]])
    out = tmp_path / "out.csv"
    common = ["--task", "nlvr2", "--annotations", str(annotations)]
    assert tool.main(["write", str(report), str(out), *common]) == 0
    assert capsys.readouterr().out == f"{out}: 3 entries, 1 repeated predictions left out\n"
    assert tool.main(["check", str(out), *common]) == 0
    assert capsys.readouterr().out == f"{out} is a valid nlvr2 submission of 3 entries\n"
    out.write_text("test1-1-0-0,yes\n")
    assert tool.main(["check", str(out), *common]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "(3 faults in all)" in error
    assert tool.main(["check", str(tmp_path / "nothing.csv"), *common]) == 2
    assert "nothing.csv does not exist" in capsys.readouterr().err
