"""A run starts from a trained VisualBERT that one key names, whoever's it is."""

import pytest
import torch

from mmf_visualbert.checkpoints.commands import convert_to
from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.pretrained import source_of

KEY = "model_config.visualbert.pretrained"
STILL = ("training.max_updates=1", "training.checkpoint_interval=1", "optimizer.params.lr=0")


def weights(folder):
    return torch.load(folder / "current.ckpt", weights_only=True)


@pytest.fixture
def theirs(run_words, tmp_path):
    """What a run of two updates has learnt, and the same as a folder of transformers."""
    source_of.cache_clear()
    trained = run_words("training.max_updates=2", "training.checkpoint_interval=2", save="first")
    convert_to("transformers", trained / "current.ckpt", tmp_path / "theirs")
    return weights(trained)["model"], tmp_path / "theirs"


def test_weights_sizes_and_ways_are_taken(theirs, run_words, caplog):
    before, folder = theirs
    # Other sizes in the yaml are those of a model that does not begin from this one.
    begun = run_words(f"{KEY}={folder}", "model_config.visualbert.size.num_hidden_layers=5", *STILL, save="second")
    stored = weights(begun)
    assert stored["model"].keys() == before.keys()
    for name, value in before.items():
        assert torch.equal(stored["model"][name], value), name
    config = stored["config"]["model_config"]["visualbert"]
    assert (config["alignment"], config["bert"]) == ("mean", None)
    assert config["size"]["num_hidden_layers"] != 5
    assert "is of transformers" in caplog.text and "alignment: mean" in caplog.text


def test_a_source_that_is_none_is_one_sentence(run_words, tmp_path):
    with pytest.raises(InputError, match=r"there is no .*nothing\.pth"):
        run_words(f"{KEY}={tmp_path}/nothing.pth", *STILL)
