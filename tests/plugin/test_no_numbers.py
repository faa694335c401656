"""A loss that is no number stops a run, or is passed over and counted; the weights never see it."""

import importlib
import logging

import pytest
import torch

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.no_numbers import first_without_number

SHORT = ("training.max_updates=8", "training.checkpoint_interval=1")


@pytest.fixture
def spoiled(toy_project, monkeypatch):
    """Makes the features of a sample of the training data infinite; gives the class to tell which."""
    words = importlib.import_module("toy_project.words").Words
    read = words.__getitem__
    words.spoiled = {}

    def read_spoiled(self, index):
        sample = read(self, index)
        if index in words.spoiled.get(self.dataset_type, ()):
            sample["region_features"] = torch.full_like(sample["region_features"], float("inf"))
        return sample

    monkeypatch.setattr(words, "__getitem__", read_spoiled)
    yield words.spoiled
    del words.spoiled


def weights(folder):
    return torch.load(folder / "current.ckpt", weights_only=True)


def test_it_stops_with_update_ids_and_term(run_words, spoiled, tmp_path):
    spoiled["train"] = (5,)
    with pytest.raises(InputError) as stopped:
        run_words(*SHORT)
    said = str(stopped.value)
    assert "the loss train/toy_words/cross_entropy at update " in said and "is no number" in said
    assert "of toy_words, of which 5 have none by themselves" in said and "\n" not in said
    for path in (tmp_path / "save").rglob("*.ckpt"):
        assert all(value.isfinite().all() for value in torch.load(path, weights_only=True)["model"].values())


def test_an_evaluation_stops_too(run_words, spoiled):
    spoiled["val"] = (3,)
    with pytest.raises(InputError, match=r"val/toy_words/cross_entropy in the evaluation after update 3 is no number"):
        run_words(*SHORT, "training.skip_bad_samples=9")


def test_so_many_samples_are_passed_over_as_were_asked_for(run_words, spoiled, caplog):
    spoiled["train"] = (5,)
    logger = logging.getLogger("mmf_visualbert")
    logger.addHandler(caplog.handler)
    saved = weights(run_words(*SHORT, "training.skip_bad_samples=2"))
    logger.removeHandler(caplog.handler)
    assert saved["num_updates"] == 8 and saved["visualbert"]["skipped"] == 2, "the sample comes in each epoch of four"
    assert all(value.isfinite().all() for value in saved["model"].values())
    assert "passed over, 2 samples until now" in caplog.text
    with pytest.raises(InputError, match="have none by themselves"):
        run_words(*SHORT, "training.skip_bad_samples=1", save="again")


def test_a_batch_that_is_passed_over_moves_no_weight(run_words, spoiled):
    spoiled["train"] = tuple(range(16))
    saved = run_words("training.max_updates=2", "training.checkpoint_interval=1", "training.skip_bad_samples=99")
    first, second = (torch.load(saved / f"models/model_{n}.ckpt", weights_only=True)["model"] for n in (1, 2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_no_number_is_named(value):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Embedding(0, 3), torch.nn.BatchNorm1d(4))
    with torch.no_grad():
        model[0].weight[:2] = torch.tensor([3e38, -3e38, 1.0])
        assert first_without_number(model.double()) is None and first_without_number(model.float()) is None
        model[2].running_var[1] = value
    assert first_without_number(model) == first_without_number(model.bfloat16()) == "2.running_var"
