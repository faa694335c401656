"""A file of questions is answered as each alone, and goes on where it was stopped."""

import json

import pytest
from task_checkpoint import checkpoint

from mmf_visualbert.cli.main import main
from mmf_visualbert.contracts import Reply
from mmf_visualbert.errors import InputError
from mmf_visualbert.pretrained.many import answer_file


@pytest.fixture
def questions(tmp_path):
    """A file of five, each with a number of its own."""
    file = tmp_path / "questions.jsonl"
    rows = [{"id": number, "text": f"what {number} ?", "image": f"image{number}"} for number in range(5)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def echo(asked):
    return [[Reply(question.text, "-".join(question.images), 1.0)] for question in asked]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_line_comes_back_with_its_replies(questions, tmp_path):
    assert answer_file(questions, tmp_path / "out.jsonl", echo, 2, progress=False) == 5
    found = lines(tmp_path / "out.jsonl")
    assert [(row["id"], row["replies"][0]["answer"]) for row in found] == [(n, f"image{n}") for n in range(5)]
    assert not (tmp_path / "out.jsonl.partial").exists()


@pytest.mark.parametrize("torn", ["", '{"id": 4, "te'])
def test_a_stopped_run_goes_on(questions, tmp_path, torn):
    out, seen = tmp_path / "out.jsonl", []

    def stops(asked):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(asked)
        return echo(asked)

    with pytest.raises(KeyboardInterrupt):
        answer_file(questions, out, stops, 2, progress=False)
    assert not out.exists()
    partial = tmp_path / "out.jsonl.partial"
    partial.write_text(partial.read_text() + torn)
    later = []

    def goes_on(asked):
        later.extend(question.text for question in asked)
        return echo(asked)

    answer_file(questions, out, goes_on, 2, progress=False)
    assert later == ["what 4 ?"] and [row["id"] for row in lines(out)] == [0, 1, 2, 3, 4]


def test_other_questions_are_not_mixed(questions, tmp_path):
    partial = tmp_path / "out.jsonl.partial"
    partial.write_text('{"id": 7, "text": "else", "image": "x", "replies": []}\n')
    with pytest.raises(InputError, match=r"answers other questions than .*questions\.jsonl line 1"):
        answer_file(questions, tmp_path / "out.jsonl", echo, 2, progress=False)
    assert partial.exists()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"image": "x"}, "line 1 has no 'text'"),
        ({"text": "a"}, "has no 'image'"),
        ({"text": "a", "image": [1]}, "'image'"),
    ],
)
def test_a_line_that_is_no_question(tmp_path, row, says):
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=says):
        answer_file(file, tmp_path / "out.jsonl", echo, 2, progress=False)


def test_the_line_at_fault_is_named(small_world, tmp_path, capsys):
    path, dataset, _ = checkpoint(small_world, "vqa2", "defaults", tmp_path)
    rows = [
        {"text": record.question, "image": record.image_name}
        for record in (dataset.questions[index] for index in range(3))
    ]
    file, out = tmp_path / "q.jsonl", tmp_path / "a.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    features = str(small_world / "features/vqa2/val2014.lmdb")
    common = ["predict", "--checkpoint", str(path), "--features", features, "--file", str(file), "--out", str(out)]
    assert main(common) == 0
    found = lines(out)
    assert [row["text"] for row in found] == [row["text"] for row in rows] and len(found[0]["replies"]) == 5
    rows[1]["image"] = [rows[1]["image"]] * 3
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out.unlink()
    capsys.readouterr()
    assert main(common) == 2
    said = capsys.readouterr().err
    assert "q.jsonl line 2: this model reads a text with one image, and 3 are given" in said and not out.exists()
    assert main(common[:-2]) == 2 and "--file and --out go together" in capsys.readouterr().err
