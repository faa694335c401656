"""How many updates a run makes, as MMF counts them."""

import pytest

from mmf_visualbert.errors import InputError
from mmf_visualbert.plugin.training_length import epoch_batches, training_updates


def updates(samples, **training):
    batches = epoch_batches([{"train_samples": samples}], batch_size=64)
    return training_updates({"training": {"batch_size": 64, **training}}, batches)


@pytest.mark.parametrize(
    ("samples", "training", "expected"),
    [
        (640, {"max_epochs": 3}, 30),
        (641, {"max_epochs": 3}, 33),  # the last, smaller batch of each epoch is an update too
        (1, {"max_epochs": 2}, 2),
        (640, {"max_epochs": 3, "update_frequency": 4}, 9),
        (640, {"max_epochs": 3, "update_frequency": None}, 30),
        (640, {"max_epochs": 3, "max_updates": 22000}, 30),  # epochs come first, as in MMF
        (None, {"max_epochs": None, "max_updates": 500}, 500),
        (640, {"max_updates": 500, "update_frequency": 4}, 500),
    ],
)
def test_updates(samples, training, expected):
    assert updates(samples, **training) == expected


def test_each_dataset_has_its_own_batches():
    noted = [{"train_samples": 65}, {"train_samples": 1}, {"train_samples": 640, "train_batches": 27}, {}]
    assert epoch_batches(noted, batch_size=64) == 2 + 1 + 27


@pytest.mark.parametrize("training", [{}, {"max_epochs": None, "max_updates": None}])
def test_neither_is_set(training):
    with pytest.raises(InputError, match=r"neither training\.max_updates nor training\.max_epochs is set"):
        updates(640, **training)


@pytest.mark.parametrize("samples", [0, None])
def test_no_training_data(samples):
    with pytest.raises(InputError, match="the training data of the config is empty"):
        updates(samples, max_epochs=1)
