"""Several data sets in one run: trained together where one head reads all of them, else one sentence."""

import importlib

import pytest
import torch
from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError


@pytest.fixture
def run_facts(toy_project):
    """The facts of a run, in MMF's registry."""
    return importlib.import_module("mmf_visualbert.plugin.run_facts")


@pytest.fixture
def again(toy_project, tmp_path):
    """The same sequences under a second name."""
    words = importlib.import_module("toy_project.words")
    registry = importlib.import_module("mmf.common.registry").registry

    class Again(words.WordsBuilder):
        def load(self, config, dataset_type="train", *args, **kwargs):
            made = words.Words(config, dataset_type)
            made._dataset_name = "toy_again"
            return made

        @classmethod
        def config_path(cls):
            return str(tmp_path / "again.yaml")

    (tmp_path / "again.yaml").write_text("dataset_config:\n  toy_again: {data_dir: data}\n")
    registry.register_builder("toy_again")(Again)
    return "datasets=toy_words,toy_again"


def test_two_of_a_kind_train_and_are_evaluated_again_and_again(again, run_words):
    words = ["training.max_updates=6", "training.evaluation_interval=2", "training.early_stop.criteria=total_loss"]
    folder = run_words(again, *words)
    assert torch.load(folder / "current.ckpt", weights_only=True)["num_updates"] == 6


def test_data_that_a_head_cannot_read_is_one_sentence(again, run_words):
    head = [
        "model_config.visualbert.heads[0].type=visualbert_answer",
        "model_config.visualbert.heads[0].params.num_labels=2",
    ]
    with pytest.raises(InputError, match=r"the samples of toy_\w+ have no 'answer_position', .*; train one after the"):
        run_words(again, *head)


def test_a_fault_of_one_data_set_alone_stays_what_it_is(run_facts):
    registry = importlib.import_module("mmf.common.registry").registry
    registry.register("config", OmegaConf.create({"datasets": "a"}))
    run_facts.refuse_others("a", KeyError("x"))


def test_data_with_answers_of_their_own_are_refused(run_facts):
    registry = importlib.import_module("mmf.common.registry").registry
    registry.register("config", OmegaConf.create({"datasets": "a, b,c"}))
    run_facts.hand_on("a", answers=["no", "yes"])
    run_facts.hand_on("b", anew=True)
    run_facts.hand_on("c", answers=["no", "yes"])
    assert run_facts.answers() == ["no", "yes"]
    run_facts.hand_on("c", answers=["yes"])
    with pytest.raises(InputError, match=r"datasets=a,b,c names data with answers of their own \(2 and 1\)"):
        run_facts.answers()
