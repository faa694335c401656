"""`visualbert benchmark train` and `infer`: contenders in processes of their own, and what is reported of them."""

import json

import pytest
import torch
from torch import nn

from mmf_visualbert.benchmark.contender import Kept
from mmf_visualbert.cli.main import main

SMALL = [
    *(f"model_config.visualbert.size.{key}=16" for key in ("hidden_size", "intermediate_size")),
    *(f"model_config.visualbert.size.{key}=2" for key in ("num_hidden_layers", "num_attention_heads")),
]


def test_a_report(tmp_path, capsys):
    file = tmp_path / "train.json"
    steps = ["--batch", "2", "--regions", "4", "--rounds", "2", "--warmup", "1", "--against", "", "--device", "cpu"]
    words = ["benchmark", "train", *steps, "--json", str(file), *SMALL]
    assert main(words) == 0
    assert "ours_fp32" in capsys.readouterr().out
    found = json.loads(file.read_text())
    assert found["command"].startswith("visualbert benchmark train --batch 2 --regions 4")
    assert found["config"] == "projects/visualbert/configs/vqa2/defaults.yaml"
    ours = found["contenders"]["ours_fp32"]
    assert ours["tokens_computed"] >= found["tokens_real"] > 2 * 4
    assert ours["padding_share"] == pytest.approx(1 - found["tokens_real"] / ours["tokens_computed"], abs=1e-4)
    assert 0 < ours["kept_for_backward_mib"] < 10 < ours["fixed_mib"]
    assert ours["seconds"]["min"] <= ours["seconds"]["median"] <= ours["seconds"]["max"]


def test_padding_alone(capsys):
    attention = "model_config.visualbert.attention=packed"
    assert main(["benchmark", "train", "--workload", "vcr_rationale", "--batch", "2", "--rounds", "0", attention]) == 0
    assert "padding_share_of_all_batches 0.0\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--workload", "vcr_answer", "--against", "hf"], "nobody can do vcr_answer too"),
        (["--against", "mmf,jax"], "--against jax: hf, mmf can do vqa too"),
        (["--annotations", "train.jsonl"], "lengths of VCR's texts, not of vqa"),
        (["--workload", "vcr_answer", "--regions", "9"], "--regions is not for VCR"),
        (["--workload", "vcr_answer", "--annotations", "none.jsonl"], "none.jsonl"),
    ],
)
def test_what_does_not_fit_is_one_sentence(words, says, capsys):
    assert main(["benchmark", "train", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("visualbert benchmark: error: ") and says in error and error.count("\n") == 1


def test_a_contender_that_fails_is_named(capfd):
    overrides = ["--against", "", "--device", "cpu", "model_config.visualbert.attention=none"]
    assert main(["benchmark", "infer", "--batch", "1", *overrides]) == 2
    error = capfd.readouterr().err
    assert "the contender ours: error: attention is 'none'" in error and "Traceback" not in error
    assert error.endswith("error: the contender ours_fp32 ended with code 2; its error stands above\n")


def test_what_is_kept_for_the_backward_pass():
    model = nn.Sequential(nn.Linear(1024, 1024), nn.ReLU())
    kept = Kept(model)
    kept.count(lambda: model(torch.ones(256, 1024)).sum())
    assert kept.mib == 2.0  # the input and the output, 1 MiB each; of the weights, 4 MiB, nothing
