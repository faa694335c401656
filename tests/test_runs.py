import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStoreWriter, RegionRecord, StoreInfo
from mmf_visualbert.modules.build import build_visual_bert
from mmf_visualbert.runs import load_checkpoint, plain, read_config, read_flickr30k, read_visual_bert

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIG = REPOSITORY / "projects" / "visualbert" / "configs" / "flickr30k" / "defaults.yaml"
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 16}
D = 8


@pytest.fixture
def run(tmp_path):
    """A folder with data in the official layout, a config and a checkpoint as MMF writes it."""
    folder = tmp_path / "flickr30k_entities"
    (folder / "Sentences").mkdir(parents=True)
    (folder / "Annotations").mkdir()
    (folder / "val.txt").write_text("7\n")
    (folder / "Sentences" / "7.txt").write_text("[/EN#1/people a man] with [/EN#2/other a dog]\n")
    (folder / "Annotations" / "7.xml").write_text(
        "<annotation><size><width>50</width><height>50</height></size>"
        + "".join(
            f"<object><name>{k}</name><bndbox><xmin>{k}</xmin><ymin>1</ymin><xmax>40</xmax><ymax>9</ymax></bndbox></object>"
            for k in (1, 2)
        )
        + "</annotation>"
    )
    (tmp_path / "vocab.txt").write_text("\n".join("[PAD] [UNK] [CLS] [SEP] [MASK] a man dog with".split()))
    (tmp_path / "features" / "flickr30k").mkdir(parents=True)
    with FeatureStoreWriter(tmp_path / "features" / "flickr30k" / "val.lmdb", StoreInfo("test", D, 9)) as writer:
        boxes = np.array([[1, 1, 40, 9], [0, 20, 50, 50], [2, 1, 45, 10]], np.float32)
        scores = np.array([0.2, 0.9, 0.3], np.float32)
        writer.add("7", RegionRecord(np.ones((3, D), np.float16), boxes, 50, 50, scores=scores))
    config = f"""
includes: [{CONFIG}]
env: {{data_dir: {tmp_path}}}
model_config:
  visualbert:
    bert: null
    tokenizer: {tmp_path}/vocab.txt
    region_dimension: {D}
    size: {{hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 16}}
dataset_config:
  visualbert_flickr30k:
    processors: {{region_processor: {{params: {{dimension: {D}}}}}}}
"""
    (tmp_path / "run.yaml").write_text(config)
    visual_bert = build_visual_bert(region_dimension=D, random_init=True, vocab_size=9, **SIZE)
    weights = {f"visual_bert.{name}": value for name, value in visual_bert.state_dict().items()}
    torch.save({"model": weights | {"heads.x.weight": torch.ones(1)}, "num_updates": 3}, tmp_path / "best.ckpt")
    return tmp_path


def test_config_is_merged_as_mmf_does(run):
    config = read_config(run / "run.yaml", ["training.batch_size=4"])
    assert config.model == "visualbert" and config.optimizer.params.lr == 2.0e-5 and config.training.batch_size == 4
    model = plain(config, "model_config.visualbert")
    assert (model["fusion"], model["region_dimension"], model["size"]["hidden_size"]) == ("early", D, 16)
    section = plain(config, "dataset_config.visualbert_flickr30k")
    assert section["data_dir"] == str(run)
    assert section["processors"]["text_processor"]["params"]["tokenizer"] == f"{run}/vocab.txt"
    assert "includes" not in config


def test_dataset_and_trunk_fit_each_other(run):
    config = read_config(run / "run.yaml")
    dataset = read_flickr30k(config, "val")
    assert dataset[0]["phrase_targets"][:2, :3].tolist() == [[True, False, True]] * 2
    visual_bert = read_visual_bert(run / "best.ckpt", plain(config, "model_config.visualbert"))
    stored = torch.load(run / "best.ckpt", weights_only=True)["model"]
    for name, value in visual_bert.state_dict().items():
        assert torch.equal(value, stored[f"visual_bert.{name}"])


def test_a_checkpoint_without_a_pooler_and_with_its_own_config(run):
    config = read_config(run / "run.yaml")
    settings = plain(config, "model_config.visualbert")
    stored = torch.load(run / "best.ckpt", weights_only=True)
    stored["model"] = {name: value for name, value in stored["model"].items() if "pooler" not in name}
    stored["config"] = {"model_config": {"visualbert": settings}}
    torch.save(stored, run / "own.ckpt")
    visual_bert = read_visual_bert(run / "own.ckpt", settings | {"size": {"hidden_size": 99}})
    assert visual_bert.hidden_size == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drop": "encoder.layer.1"}, r"best.ckpt lacks visual_bert.encoder.layer.1\..* \(\d+ in all\)"),
        ({"add": "additional_layer.x"}, "best.ckpt has an unknown visual_bert.additional_layer.x"),
        (
            {"widen": "embeddings.visual_projection.weight"},
            "best.ckpt has another shape of visual_bert.embeddings.visual",
        ),
        ({"drop": ""}, "best.ckpt has no weights of a VisualBERT"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(run, changes, message):
    stored = torch.load(run / "best.ckpt", weights_only=True)
    weights = stored["model"]
    if "drop" in changes:
        weights = {k: v for k, v in weights.items() if not k.startswith(f"visual_bert.{changes['drop']}")}
    if "add" in changes:
        weights[f"visual_bert.{changes['add']}"] = torch.ones(2)
    if "widen" in changes:
        weights[f"visual_bert.{changes['widen']}"] = torch.ones(16, D + 1)
    torch.save({"model": weights}, run / "best.ckpt")
    with pytest.raises(InputError, match=message):
        read_visual_bert(run / "best.ckpt", plain(read_config(run / "run.yaml"), "model_config.visualbert"))


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("evil-was-here"),))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Evil()}, tmp_path / "evil.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Evil(), protocol=2))
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    for name in ("evil", "plain", "text"):
        with pytest.raises(InputError, match=f"{name}.ckpt is not readable as a checkpoint"):
            load_checkpoint(tmp_path / f"{name}.ckpt")
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "run.yaml is not readable as yaml"), ("includes: [./none.yaml]", "none.yaml does not exist")],
)
def test_faulty_configs_are_named(tmp_path, text, message):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "run.yaml")


def test_a_config_of_another_task_is_refused(run):
    (run / "other.yaml").write_text("datasets: visualbert_nothing")
    with pytest.raises(InputError, match=r"the config has no dataset_config.visualbert_flickr30k"):
        read_flickr30k(read_config(run / "other.yaml"), "val")
    with pytest.raises(InputError, match="'batch' is not of the form key=value"):
        read_config(run / "run.yaml", ["batch"])


def test_the_command_prints_and_writes(run, capsys):
    spec = importlib.util.spec_from_file_location("analyze", REPOSITORY / "tools" / "analyze.py")
    analyze = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(analyze)
    arguments = ["entity", "--config", str(run / "run.yaml"), "--checkpoint", str(run / "best.ckpt")]
    assert analyze.main([*arguments, "--out", str(run / "heads.csv"), "--best", "2"]) == 0
    printed = capsys.readouterr().out
    assert "phrases                    2 (0 cut off)" in printed and "most confident region      0.00" in printed
    assert len((run / "heads.csv").read_text().splitlines()) == 1 + 2 * 4
    assert analyze.main([*arguments, "--split", "test"]) == 2
    assert "analyze.py: error: " in capsys.readouterr().err
