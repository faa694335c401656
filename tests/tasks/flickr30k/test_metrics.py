import math

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmf_visualbert import catalog
from mmf_visualbert.tasks.flickr30k import metrics as grounding  # noqa: F401  registers the metrics
from mmf_visualbert.tasks.flickr30k.annotations import PHRASE_TYPES

COUNTS = ("phrase_hit1", "phrase_hit5", "phrase_hit10", "phrase_upper", "phrase_cut")


def report(samples=7):
    generator = torch.Generator().manual_seed(3)
    types = torch.randint(4, (samples, 8), generator=generator)
    types[:, PHRASE_TYPES.index("animals")] = 0
    hits = (types * torch.rand(samples, 8, generator=generator)).long()
    counts = types.sum(1)
    upper = (counts * 0.9).long()
    return {
        "id": torch.arange(samples),
        "phrase_count": counts,
        "phrase_hit1": hits.sum(1),
        "phrase_hit5": (counts * 0.6).long(),
        "phrase_hit10": (counts * 0.8).long(),
        "phrase_upper": upper,
        "phrase_cut": torch.tensor([0, 2, 0, 0, 1, 0, 0][:samples]),
        "phrase_type_count": types,
        "phrase_type_hit1": hits,
    }


def expected(values):
    def share(name, total="phrase_count"):
        return sum(values[name].tolist()) / sum(values[total].tolist())

    numbers = {f"visualbert_recall_at_{k}": share(f"phrase_hit{k}") for k in (1, 5, 10)}
    numbers["visualbert_recall_upper_bound"] = share("phrase_upper")
    numbers["visualbert_phrases_cut"] = sum(values["phrase_cut"].tolist())
    for column, name in enumerate(PHRASE_TYPES):
        total = sum(row[column] for row in values["phrase_type_count"].tolist())
        hits = sum(row[column] for row in values["phrase_type_hit1"].tolist())
        numbers[f"visualbert_recall_at_1_{name}"] = hits / total if total else math.nan
    return numbers


def calculate(values):
    numbers = {}
    for name in expected(report()):
        metric = catalog.get("metric", name)()
        collected = {field: values[field] for field in metric.required_params}
        numbers[name] = metric.calculate(collected, collected).item()
    return numbers


def test_all_numbers_over_the_whole_split():
    values = report()
    assert "id" in catalog.get("metric", "visualbert_recall_at_1")().required_params
    assert calculate(values) == pytest.approx(expected(values), nan_ok=True)
    assert math.isnan(calculate(values)["visualbert_recall_at_1_animals"])


def _rank(rank, meeting, results):
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    # As DistributedSampler hands out 7 samples: 0 2 4 6 and 1 3 5 0; and a last batch that one rank lacks.
    rows = torch.tensor([[0, 2, 4, 6], [1, 3, 5, 0]][rank])
    whole = calculate({name: value[rows] for name, value in report().items()})
    uneven = calculate({name: value[[slice(5), slice(5, 7)][rank]] for name, value in report().items()})
    results.put((rank, whole, uneven))
    dist.destroy_process_group()


def test_two_ranks_with_an_uneven_tail_agree_with_one(tmp_path):
    context = mp.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_rank, args=(rank, tmp_path / "meeting", results)) for rank in range(2)]
    for process in processes:
        process.start()
    found = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(30)
    assert sorted(rank for rank, _, _ in found) == [0, 1]
    for _, whole, uneven in found:
        assert whole == pytest.approx(expected(report()), nan_ok=True)
        assert uneven == pytest.approx(expected(report()), nan_ok=True)
