"""Before anything is fetched: which annotation files belong where."""

import pytest

from mmf_visualbert.datasets.presence import require_files
from mmf_visualbert.errors import InputError
from tests.mmf_runs import CONFIGS, load_trainer

SECTION = {
    "annotations": {"train": ["a/train.json", "a/more.json"], "val": "a/val.json", "test": ["a/val.json"]},
    "features": {"train": ["f/train.lmdb"]},
}


def test_nothing_is_there(tmp_path):
    with pytest.raises(InputError) as caught:
        require_files("visualbert_nlvr2", SECTION | {"data_dir": str(tmp_path)})
    said = str(caught.value)
    assert f"below {tmp_path} belong a/train.json, a/more.json, a/val.json, with region features" in said
    assert "f/train.lmdb" in said and "env.data_dir=DIR" in said and "reproduce --scale sample" in said


def test_one_is_missing(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("train", "more"):
        (tmp_path / f"a/{name}.json").write_text("{}")
    with pytest.raises(
        InputError, match=r"val\.json does not exist, which `annotations\.val` of x names, nor do 1 more"
    ):
        require_files("x", SECTION | {"data_dir": str(tmp_path)})
    (tmp_path / "a/val.json").write_text("{}")
    require_files("x", SECTION | {"data_dir": str(tmp_path)})


def test_the_first_command_on_a_machine_without_files(tmp_path, monkeypatch):
    """Neither files nor network: what is said is about the files, before the tokenizer is looked for."""

    def fetched(*arguments, **options):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("mmf_visualbert.processors.text._from_hub", fetched)
    overrides = (f"env.data_dir={tmp_path}", f"env.save_dir={tmp_path}/save", "training.max_updates=1")
    with pytest.raises(InputError, match=r"vqa2/v2_OpenEnded_mscoco_train2014_questions\.json.*sample\.yaml"):
        load_trainer(CONFIGS / "vqa2" / "defaults.yaml", *overrides)
