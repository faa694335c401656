"""The model as a user's run builds it: the shipped yaml alone, through MMF's trainer."""

import pytest
import torch
from mmf_runs import CONFIGS, first_batch, load_trainer, write_config

from mmf_visualbert.modules.layout import Packed, Padded
from mmf_visualbert.plugin.model import VisualBERT

SAMPLE = CONFIGS / "scales" / "sample" / "common.yaml"


@pytest.fixture
def trained(small_world, tmp_path, monkeypatch):
    """Makes one training step of Flickr30K on the sample world; gives the layouts that it took."""

    def train(*overrides: str):
        folders = {"data_dir": str(small_world), "save_dir": str(tmp_path / "save")}
        run = write_config(tmp_path, CONFIGS / "flickr30k" / "defaults.yaml", SAMPLE, env=folders)
        trainer = load_trainer(run, "training.batch_size=4", *overrides)
        visual_bert, taken = trainer.model.visual_bert, []
        choose = visual_bert.layout
        monkeypatch.setattr(visual_bert, "layout", lambda *given: taken.append(choose(*given)) or taken[-1])
        trainer.model.train()
        output = trainer.model(first_batch(trainer))
        sum(loss.mean() for loss in output["losses"].values()).backward()
        return taken

    return train


def test_the_shipped_yaml_takes_the_packed_path_on_the_cpu(trained):
    (layout,) = trained()
    assert isinstance(layout, Packed)
    assert not layout.full, "there is padding to leave out"
    assert layout.mask.device == torch.device("cpu")


def test_the_padded_path_is_a_choice(trained):
    (layout,) = trained("model_config.visualbert.attention=sdpa")
    assert isinstance(layout, Padded)


def test_weights_are_loaded_without_a_copy_of_them_all(monkeypatch):
    class Small(VisualBERT):
        def build(self) -> None:
            self.one = torch.nn.Linear(2, 3)

    model = Small({"losses": []})
    model.build()
    monkeypatch.setattr(torch.Tensor, "__deepcopy__", None)
    loaded = model.load_state_dict({"one.weight": torch.ones(3, 2), "other": torch.ones(1)}, strict=False)
    assert model.one.weight.sum() == 6 and loaded == (["one.bias"], ["other"])
