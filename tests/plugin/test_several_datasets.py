"""Several data sets in one run: trained together where one head reads all of them, else one sentence."""

import importlib
import json
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from mmf_visualbert.compat.installed import is_release
from mmf_visualbert.errors import InputError

WORDS = Path(__file__).parents[1] / "toy_project" / "run_words.yaml"


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


def test_an_epoch_has_the_batches_of_each_of_them(again, run_words):
    """The last batch of each is smaller, so that they are more than the batches of as many samples of one."""
    lengths = ["training.batch_size=5", "training.max_epochs=2", "training.log_interval=1"]
    folder = run_words(again, *lengths)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = {row["update"]: row["train/total_loss"] for row in rows if row["split"] == "train"}
    assert list(losses) == list(range(1, 17)), "16 samples in each are 4 batches, twice over"
    assert all(loss is not None and loss < 10 for loss in losses.values())


def test_data_that_a_head_cannot_read_is_one_sentence(again, run_words):
    head = [
        "model_config.visualbert.heads[0].type=visualbert_answer",
        "model_config.visualbert.heads[0].params.num_labels=2",
    ]
    with pytest.raises(InputError, match=r"the samples of toy_\w+ have no 'answer_position', .*; train one after the"):
        run_words(again, *head)


@pytest.fixture
def meter_of_main():
    """GitHub's MMF has one meter for all trainings of a process."""
    if not is_release():
        importlib.import_module("mmf.trainers.core.training_loop").TrainerTrainingLoopMixin.meter.meters.clear()


def of_its_own(datasets, part, **more):
    return {"type": part, "datasets": datasets, **more}


@pytest.fixture
def two(again, tmp_path):
    """What chooses heads, losses and metrics for each of two data sets."""
    heads = [
        of_its_own(["toy_words"], "visualbert_pooled"),
        of_its_own("toy_again", "visualbert_pooled", name="of_again", params={"num_labels": 3}),
    ]
    losses = [of_its_own("toy_words", "cross_entropy"), of_its_own("toy_again", "visualbert_label_cross_entropy")]
    metrics = [of_its_own(["toy_words"], "accuracy"), of_its_own("toy_again", "visualbert_f1_of_each", key="each")]
    config = {
        "includes": [str(WORDS)],
        "model_config": {"visualbert": {"heads": heads, "losses": losses}},
        "evaluation": {"metrics": metrics},
    }
    path = tmp_path / "two.yaml"
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config)))
    return (again, f"config={path}")


def test_a_loss_of_one_of_them_that_is_no_number_stops_the_run(two, run_words, monkeypatch, meter_of_main):
    words = importlib.import_module("toy_project.words").Words
    read = words.__getitem__

    def spoil(self, index):
        sample = read(self, index)
        if index == 5:
            sample["region_features"] = torch.full_like(sample["region_features"], float("nan"))
        return sample

    monkeypatch.setattr(words, "__getitem__", spoil)
    with pytest.raises(InputError, match=r"is no number, .* of toy_\w+, of which 5 have none by themselves"):
        run_words(*two, "training.max_updates=8")


def test_each_data_set_has_heads_losses_metrics_and_predictions_of_its_own(two, run_words, meter_of_main):
    updates = ["training.max_updates=8", "training.evaluation_interval=4", "training.log_interval=1"]
    folder = run_words(*two, *updates)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    measured = next(row for row in rows if row["split"] == "val")
    assert {name for name in measured if name.startswith("val/")} == {
        "val/total_loss",
        "val/toy_words/cross_entropy",
        "val/toy_words/accuracy",
        "val/toy_again/visualbert_label_cross_entropy",
        "val/toy_again/each/0",
        "val/toy_again/each/1",
    }
    of_both = {name for row in rows if row["split"] == "train" for name in row if name.endswith("cross_entropy")}
    assert of_both == {"train/toy_words/cross_entropy", "train/toy_again/visualbert_label_cross_entropy"}
    one, two = measured["val/toy_words/cross_entropy"], measured["val/toy_again/visualbert_label_cross_entropy"]
    assert measured["val/total_loss"] == pytest.approx((one + two) / 2, rel=1e-4), "as many samples of both"
    weights = torch.load(folder / "current.ckpt", weights_only=True)["model"]
    assert weights["heads.visualbert_pooled.classifier.weight"].shape[0] == 2
    assert weights["heads.of_again.classifier.weight"].shape[0] == 3


HEADS = [{"type": "visualbert_pooled", "datasets": "toy_words"}, {"type": "visualbert_masked_lm"}]


@pytest.mark.parametrize(
    ("heads", "losses", "metrics", "says"),
    [
        (
            [{"type": "a", "datasets": ["b"]}],
            [],
            [],
            r"heads\[0\] is for 'b', and the run's datasets are toy_words, toy_ag",
        ),
        (
            HEADS[:1],
            [],
            [],
            r"none of model_config.visualbert.heads is for toy_again; add one with datasets: \[toy_again",
        ),
        (HEADS, HEADS[:1], [], r"none of model_config.visualbert.losses is for toy_again"),
        (HEADS, [], [{"type": "a", "datasets": "c"}], r"evaluation.metrics\[0\] is for 'c'"),
        ([{"type": "a", "datasets": []}], [], [], r"heads\[0\].datasets is \[\]; write a list of names"),
        (
            [{"type": "a", "dataset": "b"}],
            [],
            [],
            r"heads\[0\] has the key 'dataset', which nothing reads; a head has type",
        ),
        ([{"type": "a"}, {"type": "a"}], [], [], r"heads names a twice; leave one of them out, or give one"),
        (["a"], [], [], r"heads\[0\] is 'a'; write it as"),
    ],
)
def test_what_is_whose_is_looked_at_before_a_run(heads, losses, metrics, says, toy_project):
    several = importlib.import_module("mmf_visualbert.plugin.several_datasets")
    config = {"datasets": "toy_words, toy_again", "model_config": {"visualbert": {"heads": heads, "losses": losses}}}
    with pytest.raises(InputError, match=says):
        several.check_datasets_of_parts({**config, "evaluation": {"metrics": metrics}})


def test_a_run_whose_parts_are_for_all_its_data_sets_is_as_before(toy_project):
    several = importlib.import_module("mmf_visualbert.plugin.several_datasets")
    model = {"heads": HEADS[1:], "losses": ["cross_entropy"]}
    config = {"datasets": "a,b", "model_config": {"visualbert": model}, "evaluation": {"metrics": ["accuracy"]}}
    assert not several.check_datasets_of_parts(config)
    config["datasets"] = "toy_words,b"
    assert several.check_datasets_of_parts({**config, "model_config": {"visualbert": {**model, "heads": HEADS}}})
    metrics = ["accuracy", {"type": "roc_auc", "datasets": "toy_words"}]
    run = OmegaConf.create({"training": {"find_unused_parameters": False}, "evaluation": {"metrics": metrics}})
    several.prepare(run)
    assert run.training.find_unused_parameters and run.evaluation.metrics[1].datasets == ["toy_words"]


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
