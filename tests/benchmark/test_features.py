"""`visualbert benchmark features`: reading regions beside MMF's reader, drawn into tables."""

import argparse
import json

import torch

from mmf_visualbert.benchmark import features
from mmf_visualbert.cli.main import main

SIZES = {"images": 192, "regions": 4, "dimension": 256, "rounds": 1}


def test_all_contenders_make_the_same_batch_and_take_turns(tmp_path):
    sizes = argparse.Namespace(**SIZES)
    paths = features.write_stores(tmp_path, sizes)
    rates = features.batches(paths, sizes)
    assert list(rates) == ["ours_fp16_batch", "ours_fp32_batch", "mmf_batch", "numpy_batch"]
    assert all(
        0 < each["slow_quarter"] <= each["samples_per_second"] <= each["fast_quarter"] for each in rates.values()
    )
    half, whole, mmf, copied = (
        features.batch_maker(name, paths, sizes)([5, 3, 11]) for name in ("ours_fp16", "ours_fp32", "mmf", "numpy")
    )
    assert mmf.is_shared()
    assert torch.equal(whole, mmf) and torch.equal(half, whole.half()) and torch.equal(half, copied)


def test_figures_are_drawn(tmp_path):
    warm = ("ours_fp16", "ours_fp32", "mmf_into_batch", "ours_fp16_tensor", "ours_fp32_tensor", "mmf")
    batches = ("ours_fp16_batch", "ours_fp32_batch", "mmf_batch", "numpy_batch")
    cold = ("disk_sequential", "ours_in_order", "ours_shuffled", "ours_shuffled_4_workers", "mmf_shuffled")
    found = {
        "benchmark": "features",
        "machine": {"cpu": "A CPU", "instructions": "AVX2"},
        "warm": {name: {"samples_per_second": 1000.0} for name in (*warm, "numpy_memory_fp16")},
        "batches": {name: {"samples_per_second": 1000.0 * (4 - place)} for place, name in enumerate(batches)},
        "cold": {name: {"megabytes_per_second": 300.0} for name in cold}
        | {"disk_sequential": {"megabytes_per_second": 600.0}},
    }
    found["many_ids"] = {name: {"seconds_to_first_record": 0.5, "mib_all_read": 7.0} for name in ("ours", "mmf")}
    (tmp_path / "features.json").write_text(json.dumps(found))
    rates = {"ours": {"images_per_second": 0.5}, "bare": {"images_per_second": 1.0}}
    extract = {"benchmark": "extract", "machine": found["machine"], "detector": "a_detector", "rates": rates}
    (tmp_path / "extract.json").write_text(json.dumps(extract))
    page = tmp_path / "page.md"
    page.write_text(
        "".join(
            f"<!-- table: {name} -->\n<!-- end of table -->\n" for name in ("many", "reading", "disk", "extraction")
        )
    )
    assert main(["benchmark", "table", str(page), "--folder", str(tmp_path)]) == 0
    lines = page.read_text().splitlines()
    for row in (
        "| ours | A CPU, AVX2 | 0.50 s | 7 |",
        "| ours, float16: a worker's batch of 64 | A CPU, AVX2 | 4,000 | 2.0 |",
        "| ours, float16, into a batch that is there | A CPU, AVX2 | 1,000 | 1.0 |",
        "| MMF's reader (float32), into a tensor of its own | A CPU, AVX2 | 1,000 |  |",
        "| `a_detector`, random weights | A CPU | 0.50 | 1.00 | 50 % |",
        "| ours, in order | A CPU, AVX2 | 300 | 50 % |",
    ):
        assert row in lines
