"""The template task, copied under another name into a package of one's own: it trains, predicts, and is known by name.

No file outside of the copied folder is touched.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mmf_visualbert.tasks
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo

TEMPLATE = Path(mmf_visualbert.tasks.__file__).parent / "_template"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "red"]
TINY = """
includes:
- ./weather/run.yaml

model_config:
  visualbert:
    bert: null
    tokenizer: ${env.data_dir}/vocab.txt
    region_dimension: 8
    size:
      hidden_size: 8
      num_hidden_layers: 1
      num_attention_heads: 2
      intermediate_size: 8
      max_position_embeddings: 128
training:
  batch_size: 4
  num_workers: 0
  tensorboard: false
  max_epochs: null
  max_updates: 2
  evaluation_interval: 1
"""


def write_data(folder: Path) -> None:
    """Twelve examples about four images."""
    draw = np.random.default_rng(0)
    (folder / "weather").mkdir(parents=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    with FeatureStoreWriter(folder / "features" / "weather.lmdb", StoreInfo("test", 8, 3)) as writer:
        for image in range(4):
            writer.add(f"image{image}", RegionRecord(draw.normal(size=(3, 8)).astype(np.float32)))
    for split in ("train", "val", "test"):
        records = [
            {"id": f"{split}-{n}", "image": f"image{n % 4}.jpg", "text": f"a {WORDS[6 + n % 3]}", "label": "yes"}
            for n in range(12)
        ]
        (folder / "weather" / f"{split}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def own_package(tmp_path) -> Path:
    """A folder with the copied task, its data, and a small run of it."""
    folder = tmp_path / "weather"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in folder.iterdir():
        text = file.read_text()
        file.write_text(text.replace("template", "weather").replace("Template", "Weather"))
    (tmp_path / "small.yaml").write_text(TINY)
    write_data(tmp_path / "data")
    return tmp_path


def start(folder: Path, program: str, *arguments: str) -> str:
    """Runs a program of this environment in `folder`; gives what it says."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_a_copied_task_trains_predicts_and_is_known(own_package):
    settings = ("config=small.yaml", f"env.data_dir={own_package / 'data'}")
    said = start(own_package, "mmf_run", *settings)
    assert "visualbert_weather_accuracy" in said
    best = own_package / "save" / "weather" / "best.ckpt"
    resume = (f"checkpoint.resume_file={best}", "checkpoint.reset.all=True")
    start(own_package, "mmf_predict", *settings, *resume, "run_type=test", f"env.report_dir={own_package / 'report'}")
    (report,) = (own_package / "report").rglob("*.json")
    assert {entry["label"] for entry in json.loads(report.read_text())} <= {"no", "yes"}

    own, annotations = ("--user-dir", "weather"), ("--annotations", "data/weather/test.jsonl")
    submission = (*own, "submission", "write", "--task", "weather", str(report), "mine.csv", *annotations)
    assert "12 entries" in start(own_package, "visualbert", *submission)
    check = (*own, "submission", "check", "--task", "weather", "mine.csv", *annotations)
    assert "is a valid weather submission of 12 entries" in start(own_package, "visualbert", *check)
    asked = ("--text", "a cat", "--features", "data/features/weather.lmdb", "--image", "image1")
    reply = start(own_package, "visualbert", *own, "predict", "--checkpoint", str(best), *asked)
    assert "a cat  ->  yes" in reply and "a cat  ->  no" in reply
    covers = (*own, "features", "check", "--quiet", "data/features/weather.lmdb", "--covers", "data/weather/val.jsonl")
    assert "0 faults" in start(own_package, "visualbert", *covers)


def test_the_template_itself_is_no_task():
    from mmf_visualbert import catalog

    assert "template" not in catalog.tasks() and "visualbert_template" not in catalog.names("dataset")
