"""`visualbert benchmark train` and `infer`: contenders in processes of their own, and what is reported of them."""

import json

import pytest
import torch
from torch import nn

from mmf_visualbert.benchmark.contender import Kept
from mmf_visualbert.benchmark.draw import draw
from mmf_visualbert.benchmark.peak import matrix_peak, useful_operations
from mmf_visualbert.benchmark.steps import lines_of
from mmf_visualbert.benchmark.transformers_rival import Transformers
from mmf_visualbert.benchmark.workloads import ANSWERS
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
    assert ours["useful_tokens_per_second"] * ours["seconds"]["median"] == pytest.approx(found["tokens_real"])
    rate = found["useful_operations"] / ours["seconds"]["median"]
    assert ours["share_of_matrix_peak"] == pytest.approx(rate / found["matrix_peak"]["fp32"])
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


def test_a_rival_runs_in_the_types_that_it_can():
    assert lines_of(["fp32", "bf16"], ["mmf", "hf"]) == [
        *(("ours", dtype) for dtype in ("fp32", "bf16")),
        ("mmf", "fp32"),
        *(("hf", dtype) for dtype in ("fp32", "bf16")),
    ]
    assert lines_of(["bf16"], ["mmf"]) == [("ours", "bf16"), ("mmf", "fp32")]


def test_transformers_in_bf16_as_its_users_have_it():
    sample = draw("vqa", batch=2, regions=3, dimension=8, seed=0)
    exact = Transformers("vqa", sample, "cpu", ANSWERS)
    exact.model.eval()
    expected = {"loss": exact.loss(), "scores": exact.scores()}
    casts = exact.in_bf16(casts=True)
    assert {weight.dtype for weight in casts.model.parameters()} == {torch.float32}
    assert casts.loss().item() == pytest.approx(expected["loss"].item(), rel=0.02)
    whole = casts.in_bf16(casts=False)
    assert whole.scores().dtype == torch.bfloat16 and whole.scores().shape == expected["scores"].shape


def test_operations_that_tokens_need_and_those_that_the_machine_makes():
    text, region = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool(), torch.tensor([[1, 0], [1, 1]]).bool()
    size = {"hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 2}
    # Sequences of 3 and 5: 8 tokens x (4 * 4 * 4 + 2 * 4 * 8) + 2 * (9 + 25) * 4 a layer; 3 regions x 6 x 4.
    forward = 2 * (2 * (8 * 128 + 272) + 72)
    sample = {"text_mask": text, "region_mask": region}
    assert useful_operations(sample, size, 6, training=False) == forward
    assert useful_operations(sample, size, 6, training=True) == 3 * forward
    of_vcr = {"text_mask": text[:, None].repeat(1, 4, 1), "region_mask": region}
    assert useful_operations(of_vcr, size, 6, training=False) == 2 * (2 * 4 * (8 * 128 + 272) + 72)
    assert matrix_peak("fp32", "cpu") > 1e8
