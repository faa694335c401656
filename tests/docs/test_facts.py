"""What the pages state is so: the paper's rows, what a chain costs, records of the official files as they show them."""

import re

import pages
import pytest
from pages import ROOT

from mmf_visualbert import catalog
from mmf_visualbert.reproduce.estimate import estimate
from mmf_visualbert.reproduce.plan import make_plan, variants
from mmf_visualbert.tasks.flickr30k.annotations import read_sentences
from mmf_visualbert.tasks.nlvr2.records import read_nlvr2
from mmf_visualbert.tasks.vcr.objects import METADATA, parse_objects
from mmf_visualbert.tasks.vcr.records import VcrAnnotations
from mmf_visualbert.tasks.vqa2.records import read_questions

DATA = ROOT / "docs" / "data.md"


def test_the_page_of_rows_has_every_variant_and_what_it_costs():
    page = ROOT / "docs" / "reproduce.md"
    named = {choice for text in pages.mentions(page) for choice in pages.braces(text)}
    for task, known in variants().items():
        assert set(known) <= named
        plan = make_plan(task, "full", "paper")
        costs = [estimate(plan, phase, tflops=60.0) for phase in plan.phases]
        updates = " + ".join(f"{cost.updates:,}" for cost in costs)
        assert f"| {task} | {updates} | {sum(cost.hours for cost in costs):.1f}" in page.read_text()


def test_records_that_the_page_shows_are_read(tmp_path):
    question, annotation, pair, record, metadata = (block.text for block in pages.blocks(DATA, "json"))
    files = {
        "v2_OpenEnded_mscoco_train2014_questions.json": f'{{"data_subtype": "train2014", "questions": [{question}]}}',
        "v2_mscoco_train2014_annotations.json": f'{{"annotations": [{annotation}]}}',
        "dev.json": pair,
        "val.jsonl": record.replace("\n", " "),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    questions, annotations, nlvr2, vcr = (tmp_path / name for name in files)
    (read,) = read_questions([questions, annotations], labelled=True)
    assert (read.image_name, read.answers) == ("COCO_train2014_000000458752", ("net",))
    (example,) = read_nlvr2([nlvr2])
    assert example.images == ("dev-850-0-img0", "dev-850-0-img1") and example.label == 0
    (scene,) = VcrAnnotations([vcr], labels_required=True)
    assert scene.objects == ("person", "cup") and scene.answers[0] == ["a", [1]]
    objects = parse_objects(METADATA.decode(metadata.encode(), "the metadata"), "the metadata")
    assert (objects.width, objects.boxes.tolist()) == (1280, [[10, 20, 110, 220]])
    (line,) = (block.text for block in pages.blocks(DATA, "text") if block.text.startswith("[/EN#"))
    (tmp_path / "1.txt").write_text(line)
    (sentence,) = read_sentences(tmp_path / "1.txt")
    assert [phrase.chain for phrase in sentence.phrases] == [1, 2, 3]


@pytest.mark.parametrize("name", list(variants()))
def test_a_tasks_page_has_the_papers_row_and_its_phases(name):
    task = catalog.task(name)
    page = ROOT / "mmf_visualbert" / "tasks" / name / "README.md"
    text = page.read_text(encoding="utf-8")
    for value in task.rows["full"].values.values():
        assert re.search(rf"(?<![\d.]){value:g}0?(?![\d.])", text), value
    shown = {words[1].removeprefix("config=") for words in pages.commands(page, "mmf_run")}
    assert {f"projects/visualbert/configs/{name}/{phase.name}.yaml" for phase in task.variants["full"]} <= shown


def test_every_room_is_in_the_list():
    listed = {name.rstrip("/").removesuffix(".py") for name in pages.mentions(ROOT / "CONTRIBUTING.md")}
    package = ROOT / "mmf_visualbert"
    files = {path.stem for path in package.glob("*.py") if not path.stem.startswith("__")}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert files | folders <= listed | {"tasks"}
