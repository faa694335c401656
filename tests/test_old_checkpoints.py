"""Checkpoints and save folders of each release load, resume, predict and convert for ever.

`fixtures/release_*.tar.xz` hold, for each task, the folder that a run of that release left when it was stopped after 4
updates (`run.yaml`, `current.ckpt`, `best.ckpt`), what `mmf_predict` said then (`predictions.json`), and the small
world that all of it was made from.
"""

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
import torch
import warm

FIXTURES = Path(__file__).resolve().parent / "fixtures"
RELEASES = sorted(path.name.removesuffix(".tar.xz") for path in FIXTURES.glob("release_*.tar.xz"))
FINE_TUNED = ("vqa2_defaults", "nlvr2_defaults", "flickr30k_defaults", "vcr_defaults", "vcr_rationale")


@pytest.fixture(scope="session", params=RELEASES)
def release(request, tmp_path_factory) -> Path:
    """The unpacked folder of a release."""
    folder = tmp_path_factory.mktemp("releases")
    with tarfile.open(FIXTURES / f"{request.param}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / request.param


def start(program: str, release: Path, run: str, folder: Path, *arguments: str) -> str:
    """Runs one of MMF's commands in `folder` on a run's own yaml; gives what it says."""
    settings = [f"config={release / run / 'run.yaml'}", f"env.data_dir={release / 'world'}"]
    done = warm.start(program, [*settings, f"env.save_dir={folder / 'save'}", *arguments], folder, limit=300)
    assert done.code == 0, done.said[-3000:]
    return done.said


def same(ours, theirs) -> bool:
    """Whether two predictions are equal, numbers to 1e-4: processors add in different orders."""
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == (pytest.approx(theirs, abs=1e-4) if isinstance(theirs, float) else theirs)


@pytest.mark.parametrize("run", FINE_TUNED)
def test_predictions_are_what_they_were(release, run, tmp_path):
    checkpoint = f"checkpoint.resume_file={release / run / 'best.ckpt'}"
    report = f"env.report_dir={tmp_path / 'report'}"
    start("mmf_predict", release, run, tmp_path, "run_type=test", checkpoint, "checkpoint.reset.all=True", report)
    (written,) = (tmp_path / "report").rglob("*.json")
    now, then = (json.loads(path.read_text()) for path in (written, release / run / "predictions.json"))
    assert len(now) == len(then) > 5
    for ours, theirs in zip(now, then, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(same(ours[name], theirs[name]) for name in theirs), (ours, theirs)


@pytest.mark.parametrize("run", ["vqa2_defaults", "vcr_defaults", "vqa2_pretrain_coco"])
def test_a_run_that_was_stopped_goes_on(release, run, tmp_path):
    save = tmp_path / "save"
    save.mkdir()
    for name in ("current.ckpt", "best.ckpt"):
        shutil.copy(release / run / name, save)
    said = start("mmf_run", release, run, tmp_path, "checkpoint.resume=True", "training.max_updates=6")
    assert "progress: 6/6" in said
    before, after = (torch.load(folder / "current.ckpt", weights_only=True) for folder in (release / run, save))
    assert (before["num_updates"], after["num_updates"]) == (4, 6)
    assert before["model"].keys() == after["model"].keys(), "names of weights stay"


def test_a_phase_starts_from_the_one_before(release, tmp_path):
    checkpoint = f"checkpoint.resume_file={release / 'vqa2_pretrain_task' / 'best.ckpt'}"
    said = start("mmf_run", release, "vqa2_defaults", tmp_path, checkpoint, "checkpoint.resume_pretrained=True")
    assert "progress: 4/4" in said


@pytest.mark.parametrize("run", FINE_TUNED[:3])
def test_one_answer_and_conversion(release, run, tmp_path):
    from mmf_visualbert.checkpoints.commands import convert_from, convert_to
    from mmf_visualbert.checkpoints.files import read_weights
    from mmf_visualbert.features.store import FeatureStore
    from mmf_visualbert.predict import read_predictor

    checkpoint = release / run / "best.ckpt"
    stores = {"vqa2": "vqa2/val2014", "nlvr2": "nlvr2/dev", "flickr30k": "flickr30k/val"}
    store = FeatureStore(release / "world" / "features" / f"{stores[run.split('_')[0]]}.lmdb")
    records = [store.read(key) for key in store.keys()][: 2 if run.startswith("nlvr2") else 1]
    os.chdir(tmp_path)
    predictor = read_predictor(checkpoint, vocabulary=release / "world" / "bert" / "vocab.txt")
    assert predictor("is there [a red circle] ?", records, best=1)
    convert_to("transformers", checkpoint, tmp_path / "theirs", 2)
    convert_from(tmp_path / "theirs", tmp_path / "ours.pth")
    ours, again = read_weights(checkpoint), read_weights(tmp_path / "ours.pth")
    assert all(torch.equal(ours[name], value) for name, value in again.items() if "_extra_state" not in name)
