"""Cross entropy over a table's labels: weights given, and weights by which labels of few rows count like the others."""

import numpy as np
import pytest
import table_world
import torch
from mmf_runs import CONFIGS, dataset_of, first_batch, load_trainer, write_config
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.table.loss import LabelCrossEntropy


def test_balanced_weights_are_scikit_learns(small_world, tmp_path):
    section = table_world.settings(small_world, tmp_path, "classification")
    losses = [{"type": "visualbert_label_cross_entropy", "params": {"class_weights": "balanced"}}]
    run = write_config(
        tmp_path,
        CONFIGS / "table" / "classification.yaml",
        CONFIGS / "scales" / "sample" / "common.yaml",
        dataset_config={"visualbert_table": section},
        model_config={"visualbert": {"losses": losses}},
        env={"data_dir": str(small_world), "save_dir": str(tmp_path / "save")},
    )
    trainer = load_trainer(run, "training.batch_size=16")
    dataset = dataset_of(trainer, "train")
    targets = np.array([int(dataset[row]["targets"]) for row in range(len(dataset))])
    classes = np.unique(targets)
    weights = torch.ones(len(dataset.names))
    weights[classes] = torch.tensor(compute_class_weight("balanced", classes=classes, y=targets)).float()

    batch = first_batch(trainer)
    torch.testing.assert_close(batch["label_weights"], weights[batch["targets"]])
    output = trainer.model(batch)
    (loss,) = output["losses"].values()
    torch.testing.assert_close(loss.mean(), functional.cross_entropy(output["scores"], batch["targets"], weights))


def test_balance_that_cannot_be_is_refused():
    batch, output = {"targets": torch.tensor([0])}, {"scores": torch.zeros(1, 2)}
    with pytest.raises(InputError, match="balanced is for tables of the kinds classification and binary"):
        LabelCrossEntropy("balanced")(batch, output)
    with pytest.raises(InputError, match="class_weights are 'even'; give numbers, one for each label, or balanced"):
        LabelCrossEntropy("even")
