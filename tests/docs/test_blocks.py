"""Every block of the pages is run as it stands, or a comment above it says why not.

The blocks of a page are run in a folder that has what the page speaks of: the sample world as DATA, runs of small
models in save/, a vocabulary of BERT in the hub's cache.
"""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pages
import pytest
from hub_cache import HubCache, bert_base_uncased
from PIL import Image
from task_checkpoint import checkpoint

from mmf_visualbert.cli.main import main
from mmf_visualbert.features.extraction import presets
from mmf_visualbert.features.info import StoreInfo
from mmf_visualbert.features.records import RegionRecord
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.features.writer import FeatureStoreWriter

# Pages whose blocks another test runs, each in its own way.
ELSEWHERE = {
    "docs/extending.md": "test_extending.py",
    "docs/python.md": "test_python.py",
    "mmf_visualbert/tasks/_template/README.md": "../tasks/test_template.py",
}
# Of recipes it runs what makes the table and its features, and configures the run that follows.
ELSEWHERE |= {
    f"docs/recipes/{name}.md": "test_recipes.py"
    for name in ("entailment", "medical", "memes", "movies", "photographs", "refcoco", "tweets")
}
HERE = ("README.md", "docs/analysis.md", "docs/data.md", "docs/features.md", "docs/reproduce.md")
WIDE = 2048
CODE = ("bash", "python")


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_every_block_is_run_or_says_why_not(page):
    for block in pages.blocks(page, *CODE):
        if pages.why_not_run(page, block):
            continue
        assert pages.name(page) in (*ELSEWHERE, *HERE), f"no test runs line {block.line}; run it, or say why not"


def test_the_tests_of_pages_are_there():
    assert all((Path(__file__).parent / test).is_file() for test in ELSEWHERE.values())
    assert all((pages.ROOT / page).is_file() for page in HERE)


@pytest.fixture(scope="module")
def folder(small_world, tmp_path_factory) -> Path:
    """What the pages speak of; regions of Flickr30K Entities have 2,048 numbers, as the project's yaml says."""
    folder = tmp_path_factory.mktemp("pages")
    for path in small_world.rglob("*"):
        place = folder / "DATA" / path.relative_to(small_world)
        if path.is_file() and "images" not in path.parts:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path)
    (folder / "DATA/images").symlink_to(small_world / "images")
    (folder / "parses").symlink_to(small_world / "flickr30k_entities/parses")
    for name in ("val", "coco_train2014", "coco_val2014"):
        widen(folder / f"DATA/features/flickr30k/{name}.lmdb", WIDE)
    (folder / "vocab.txt").write_text(bert_base_uncased(small_world))
    model = "model_config.visualbert"
    wide = (f"{model}.region_dimension={WIDE}", f"{model}.tokenizer={folder}/vocab.txt")
    for task, phase, dimension, overrides in (
        ("vqa2", "defaults", 128, ()),
        ("flickr30k", "pretrain_coco", WIDE, wide),
        ("flickr30k", "defaults", WIDE, wide),
    ):
        place = folder / "save" / task / phase
        place.mkdir(parents=True)
        checkpoint(folder / "DATA", task, phase, place, dimension, overrides)
    return folder


def widen(path: Path, dimension: int) -> None:
    """A store in place of a link to one, its features with zeros behind them."""
    store = FeatureStore(path)
    records = {key: store.read(key).copy() for key in store.keys()}
    path.unlink()
    with FeatureStoreWriter(path, replace(store.info, dimension=dimension)) as writer:
        for key, record in records.items():
            missing = dimension - record.features.shape[1]
            writer.add(key, record._replace(features=np.pad(record.features, ((0, 0), (0, missing)))))


def run(folder: Path, page: str, monkeypatch, *languages: str) -> int:
    """Runs the blocks of a page that nothing says why not of; how many."""
    monkeypatch.chdir(folder)
    HubCache(folder / f"hub-{Path(page).stem}", monkeypatch).put_bert_base_uncased(folder / "DATA")
    path, names, count = pages.ROOT / page, dict[str, object](), 0
    for block in pages.blocks(path, *(languages or CODE)):
        if pages.why_not_run(path, block):
            continue
        count += 1
        if block.language == "python":
            exec(compile(block.text, f"{page}:{block.line}", "exec"), names)
            continue
        for words in pages.shell_lines(block):
            assert words[0] == "visualbert", f"{page} line {block.line}: '{words[0]}' is not run here; say why not"
            try:
                assert main(words[1:]) == 0, f"{page} line {block.line}: {words}"
            except SystemExit as stop:  # --list ends by itself
                assert stop.code == 0
    return count


def test_the_blocks_of_the_analyses(folder, monkeypatch, capsys):
    store = FeatureStore(folder / "DATA/features/flickr30k/val.lmdb")
    (pair,) = (json.loads(block.text) for block in pages.blocks(pages.ROOT / "docs/analysis.md", "json"))
    (folder / "pairs.jsonl").write_text(json.dumps({**pair, "image": next(iter(store.keys()))}) + "\n")
    assert run(folder, "docs/analysis.md", monkeypatch) == 5
    said = capsys.readouterr().out
    for printed in ("best head ahead of it by", "captions parsed", "words from regions", "pairs", "examples"):
        assert printed in said
    for written in ("heads.csv", "figure_3.svg", "figure_4.png", "curves.svg", "explore.html", "save/vqa2/defaults"):
        assert (folder / written).exists()


def test_the_blocks_about_data_and_rows(folder, monkeypatch, capsys):
    assert run(folder, "docs/data.md", monkeypatch) == 1 and run(folder, "docs/reproduce.md", monkeypatch) == 2
    said = capsys.readouterr().out
    assert "no_early_fusion" in said and "vqa2" in said


def store_of(path: Path, keys: list[str], dimension: int, detector: str) -> None:
    """A store with regions of a detector."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    with FeatureStoreWriter(path, StoreInfo(detector, dimension, 3)) as writer:
        for key in keys:
            boxes = np.array([[0, 0, 20, 20], [10, 10, 60, 60], [0, 0, 64, 64]], np.float32)
            writer.add(key, RegionRecord(draw.random((3, dimension), np.float32), boxes, 64, 64))


def test_the_blocks_about_features(tmp_path, monkeypatch):
    store_of(tmp_path / "features/mine.lmdb", ["mine"], 2048, "pythia_x152")
    store_of(tmp_path / "features/vqa2/val2014.lmdb", ["COCO_val2014_000000000042"], 2048, "pythia_x152")
    shutil.copy(tmp_path / "features/mine.lmdb", tmp_path / "mine.lmdb")
    shutil.copy(tmp_path / "features/mine.lmdb", tmp_path / "published.lmdb")
    questions = {"questions": [{"question_id": 1, "image_id": 42, "question": "What?"}], "data_subtype": "val2014"}
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps(questions))
    (tmp_path / "DATA/bert").mkdir(parents=True)
    (tmp_path / "DATA/bert/vocab.txt").write_text("[PAD]\n[UNK]\n")
    assert run(tmp_path, "docs/features.md", monkeypatch) == 3


def test_the_blocks_of_the_readme(small_world, tmp_path, monkeypatch, capsys):
    """An answer about a picture of a store, and one about a photograph, with a detector of random weights."""
    load = presets.load  # the detector of the page on a small image, for the time it takes
    monkeypatch.setattr(presets, "load", lambda name: replace(load(name), shortest=64, longest=96))
    place = tmp_path / "save/vqa2/sample"
    place.mkdir(parents=True)
    checkpoint(small_world, "vqa2", "defaults", place, dimension=1024)
    (tmp_path / "save/vqa2/defaults").symlink_to(place)
    os.symlink(small_world, tmp_path / "DATA")
    key = "COCO_val2014_000000000042"
    for name in ("data/sample/features/vqa2/val2014.lmdb", "features/vqa2/val2014.lmdb"):
        store_of(tmp_path / name, [key], 1024, "made")
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(tmp_path / "cat.jpg")
    assert run(tmp_path, "README.md", monkeypatch, "python") == 1
    assert len(capsys.readouterr().out.splitlines()) == 2 and (tmp_path / "shared/vqa/config.json").is_file()
