import json

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from mmf_visualbert import catalog
from mmf_visualbert.metrics.accuracy import Accuracy
from mmf_visualbert.tasks.nlvr2.metrics import NLVR2Consistency
from mmf_visualbert.tasks.nlvr2.records import read_nlvr2


def official(records, predictions):
    """Accuracy and consistency as the data set's authors define them, from the json records.

    Accuracy: share of records whose prediction is their label. Consistency: records whose identifiers agree in all
    fields but the third are one group; share of the groups in which every prediction is right.
    """
    right = {r["identifier"]: predictions[r["identifier"]].lower() == r["label"].lower() for r in records}
    groups = {}
    for identifier, is_right in right.items():
        fields = identifier.split("-")
        groups.setdefault((fields[0], fields[1], fields[3]), []).append(is_right)
    return sum(right.values()) / len(records), sum(all(group) for group in groups.values()) / len(groups)


def batch_of(examples, classes):
    scores = torch.nn.functional.one_hot(classes, 2).float() + 0.1 * torch.rand(len(examples), 2)
    sample_list = {
        "id": torch.arange(len(examples)),
        "group": torch.tensor([example.group for example in examples]),
        "targets": torch.tensor([example.label for example in examples]),
    }
    return sample_list, {"scores": scores}


def test_registered_and_asking_for_what_they_read():
    accuracy = catalog.get("metric", "visualbert_nlvr2_accuracy")()
    consistency = catalog.get("metric", "visualbert_nlvr2_consistency")()
    assert accuracy.required_params == ["id", "scores", "targets"]
    assert consistency.required_params == ["id", "group", "scores", "targets"]


def test_the_official_numbers_on_the_real_dev_file(shared):
    path = shared / "realdata" / "nlvr2" / "dev.json"
    examples = read_nlvr2([path])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    labels = torch.tensor([example.label for example in examples])
    for error_rate in (0.0, 0.1, 0.3, 0.5, 1.0):
        classes = torch.where(torch.rand(len(labels)) < error_rate, 1 - labels, labels)
        predictions = {r["identifier"]: str(bool(c)) for r, c in zip(records, classes, strict=True)}
        accuracy, consistency = official(records, predictions)
        sample_list, output = batch_of(examples, classes)
        assert Accuracy().calculate(sample_list, output).item() == torch.tensor(accuracy).item()
        assert NLVR2Consistency().calculate(sample_list, output).item() == torch.tensor(consistency).item()


def toy():
    """Groups 0: right right, 1: right wrong, 5: wrong, 7: right; then sample 1 once more, as a sampler repeats it."""
    sample_list = {
        "id": torch.tensor([0, 1, 2, 3, 4, 5, 1]),
        "group": torch.tensor([0, 0, 1, 1, 5, 7, 0]),
        "targets": torch.tensor([1, 0, 1, 0, 1, 0, 0]),
    }
    classes = torch.tensor([1, 0, 1, 1, 0, 0, 0])
    return sample_list, {"scores": torch.nn.functional.one_hot(classes, 2).float()}


def test_repeated_samples_count_once():
    sample_list, output = toy()
    assert Accuracy().calculate(sample_list, output).item() == torch.tensor(4 / 6).item()
    assert NLVR2Consistency().calculate(sample_list, output).item() == 0.5


def _on_rank(rank, path, results):
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    sample_list, output = toy()
    # Group 1 is split between the ranks, and so is the repeated sample.
    rows = torch.tensor([0, 2, 6]) if rank == 0 else torch.tensor([1, 3, 4, 5])
    part = {name: value[rows] for name, value in sample_list.items()}
    scores = {"scores": output["scores"][rows]}
    results[rank] = (
        Accuracy().calculate(part, scores).item(),
        NLVR2Consistency().calculate(part, scores).item(),
    )
    dist.destroy_process_group()


def test_two_ranks_get_the_numbers_of_one(tmp_path):
    results = multiprocessing.Manager().dict()
    multiprocessing.spawn(_on_rank, (tmp_path / "store", results), nprocs=2)
    expected = (torch.tensor(4 / 6).item(), 0.5)
    assert dict(results) == {0: expected, 1: expected}
