"""`visualbert new` and `visualbert table check`: a start with a table of one's own, in an empty folder."""

import json
import shutil

import pytest
import table_world
from mmf_runs import CONFIGS, first_batch, load_trainer, write_config
from PIL import Image
from yaml import safe_load

from mmf_visualbert.cli.main import main
from mmf_visualbert.runs import read_config
from mmf_visualbert.tasks.copying import TEMPLATE
from mmf_visualbert.tasks.table.kinds import KINDS


def rename(rows, **names):
    return [{names.get(name, name): cell for name, cell in row.items()} for row in rows]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table_of(kind, world, path, **names):
    """A table of a kind in one file, with other names of columns; gives the store of its images."""
    section = table_world.settings(world, path.parent / "parts", kind)
    parts = [(path.parent / "parts" / f"{kind}_{split}.jsonl").read_text().splitlines() for split in ("train", "val")]
    rows = [
        {**json.loads(line), "split": split}
        for split, part in zip(("train", "val"), parts, strict=True)
        for line in part
    ]
    for number, row in enumerate(rows):
        row["id"] = number
    rows += [{**rows[-1], "id": len(rows), "split": "test"}]
    table_world.write(path, rename(rows, **names))
    shutil.rmtree(path.parent / "parts")
    return section["features"]["train"][0]


def small_run(folder, name, world):
    """The small model of the sample world under a yaml that was written."""
    overlay = CONFIGS / "scales/sample/common.yaml"
    return write_config(folder, folder / f"{name}.yaml", overlay, env={"data_dir": str(world)})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_yaml_for_each_kind_is_whole(kind, small_world, here, capsys):
    store = table_of(kind, small_world, here / "mine.jsonl", text="question", image="img")
    assert main(["new", "my_task", "--kind", kind, "--table", "mine.jsonl", "--features", store]) == 0
    assert "my_task.yaml is written; next:\n  visualbert table check my_task.yaml\n" in capsys.readouterr().out
    assert {path.name for path in here.iterdir()} == {"mine.jsonl", "my_task.yaml"}
    section = read_config(here / "my_task.yaml").dataset_config.visualbert_table
    assert section.kind == kind and section.columns.text == "question" and section.columns.image == "img"
    assert section.columns.split == "split" and not section.shares.val
    head = (here / "my_task.yaml").read_text().splitlines()[0]
    assert head == "# visualbert table check my_task.yaml"


def test_what_is_written_is_checked_and_trains(small_world, here, capsys):
    store = table_of("classification", small_world, here / "mine.csv", label="answer")
    again = str(here / "both.lmdb")
    main(["features", "merge", store, store.replace("train2014", "val2014"), "--out", again])
    assert main(["new", "pets", "--kind", "classification", "--table", "mine.csv", "--features", again]) == 0
    small = small_run(here, "pets", small_world)
    capsys.readouterr()
    assert main(["table", "check", str(small)]) == 0
    said = capsys.readouterr().out
    assert (
        "train: 8 labels: " in said
        and "leak: 1 rows of test have text and image of a row of val: mine.csv line" in said
    )
    assert "has no fault; mmf_run config=" in said
    assert set(first_batch(load_trainer(small))["targets"].tolist()) <= set(range(8))


def test_photographs_are_named_with_the_detector_that_reads_them(here, capsys):
    (here / "photos").mkdir()
    rows = [{"file": f"{n}.jpg", "caption": "a thing", "label": "ab"[n % 2]} for n in range(6)]
    for row in rows:
        Image.new("RGB", (9, 9)).save(here / "photos" / row["file"])
    table_world.write(here / "shop.tsv", rows)
    command = ["new", "shop", "--kind", "classification", "--table", "shop.tsv", "--images", "photos"]
    assert main(command) == 0
    first, *_ = (here / "shop.yaml").read_text().splitlines()
    assert first == (
        "# visualbert extract --detector torchvision_r50_fpn_v2 --images photos --root photos --out features/shop.lmdb"
    )
    content = safe_load((here / "shop.yaml").read_text())
    assert content["dataset_config"]["visualbert_table"]["shares"] == {"val": 0.1, "test": 0.1, "seed": 0}
    assert content["model_config"]["visualbert"]["region_dimension"] == 1024
    assert main(command) == 2 and "shop.yaml is there already" in capsys.readouterr().err
    (here / "photos" / "0.jpg").unlink()
    command[1] = "other"
    assert main(command) == 2 and "the image '0.jpg' is not in photos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--text", "a", "--label", "kind"], "mine.csv has no column 'kind', only a, b; correct --label"),
        ([], "which column of mine.csv is the text? It has a, b; name it with --text COLUMN"),
        (["--images", "nowhere"], "--images nowhere is no folder"),
    ],
)
def test_what_cannot_be_told_is_asked(words, message, here, capsys):
    (here / "mine.csv").write_text("a,b\n1,2\n")
    assert main(["new", "mine", "--kind", "classification", "--table", "mine.csv", *words]) == 2
    assert message in capsys.readouterr().err and not (here / "mine.yaml").exists()


def test_check_says_every_fault(small_world, here, capsys):
    store = table_of("classification", small_world, here / "mine.jsonl")
    rows = [json.loads(line) for line in (here / "mine.jsonl").read_text().splitlines()]
    rows[1]["image"] = "nobody.png"
    next(row for row in rows if row["split"] == "val")["label"] = "zebra"
    table_world.write(here / "mine.jsonl", rows)
    main(["new", "mine", "--kind", "classification", "--table", "mine.jsonl", "--features", store])
    small = small_run(here, "mine", small_world)
    assert main(["table", "check", str(small)]) == 2
    said = capsys.readouterr()
    assert "FAULT train: 1 rows have an image without features, 'nobody' among them" in said.out
    assert "FAULT val: 1 labels are none of train's, 'zebra' among them" in said.out
    assert "faults that a run would stop at; see above" in said.err
    assert main(["table", "check", str(small), "dataset_config.visualbert_table.columns.label=mood"]) == 2
    assert "FAULT train: mine.jsonl line 1 has no column 'mood', only id, text" in capsys.readouterr().out


def test_a_package_of_ones_own_is_the_template_under_its_name(here, capsys):
    assert main(["new", "my_task", "--kind", "own"]) == 0
    assert {path.name for path in (here / "my_task").iterdir()} == {
        path.name for path in TEMPLATE.iterdir() if path.is_file()
    }
    text = "".join(path.read_text() for path in (here / "my_task").iterdir())
    assert "visualbert_my_task" in text and "MyTaskHead" in text and "emplate" not in text
    capsys.readouterr()
    for name, message in (
        ("my_task", "is there already"),
        ("my_val", "reads meaning into 'val'"),
        ("A b", "is no name"),
    ):
        assert main(["new", name, "--kind", "own"]) == 2 and message in capsys.readouterr().err
