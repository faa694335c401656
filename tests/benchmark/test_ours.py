"""The benchmark's model is the one of the shipped yaml, and computes what a run of MMF computes."""

import importlib

import pytest
import torch
from omegaconf import OmegaConf

from mmf_visualbert.benchmark.draw import draw
from mmf_visualbert.benchmark.ours import Ours, shipped
from mmf_visualbert.benchmark.vcr import Questions, draw_questions
from mmf_visualbert.benchmark.workloads import PADDED_WORDS, WORKLOADS

SMALL = [
    *(f"model_config.visualbert.size.{key}=16" for key in ("hidden_size", "intermediate_size")),
    *(f"model_config.visualbert.size.{key}=2" for key in ("num_hidden_layers", "num_attention_heads")),
]
VCR = [
    "model_config.visualbert.region_encoder.params.backbone=small",
    "model_config.visualbert.region_encoder.params.width=4",
    "model_config.visualbert.region_dimension=12",
]


def ours(name, *overrides, precision="fp32"):
    torch.manual_seed(0)
    if WORKLOADS[name].lengths is None:
        questions = Questions(torch.tensor([[20, 9, 7, 30], [12, 12, 8, 9]]).numpy(), torch.tensor([3, 2]).numpy())
        sample, overrides = draw_questions(questions, (96, 48)), (*VCR, *overrides)
    else:
        dimension = shipped(name).model_config.visualbert.region_dimension
        sample = draw(name, 2, 5, dimension, seed=0)
    return Ours(name, sample, "cpu", precision, [*SMALL, *overrides])


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_step_of_every_workload(name):
    contender = ours(name)
    contender.model.train()
    optimizer = contender.optimizer()
    loss = contender.loss()
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss) and contender.tokens > 0
    assert contender.scores().isfinite().all()
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]
    assert optimizer.param_groups[0]["lr"] == contender.config.optimizer.params.lr


@pytest.mark.parametrize("name", ["nlvr2", "pretrain", "vcr_answer"])
def test_mmf_s_model_of_the_same_yaml_gives_the_same(name, toy_project):
    contender = ours(name)
    config = OmegaConf.merge(
        contender.config.model_config.visualbert, {"model": "visualbert", "size": {"vocab_size": 30522}}
    )
    registry = importlib.import_module("mmf.common.registry").registry
    registry.register("config", OmegaConf.create({"evaluation": {"predict": False}, "datasets": ""}))
    model = importlib.import_module("mmf_visualbert.plugin.model").VisualBERT(config)
    model.build()
    model.load_state_dict(contender.model.state_dict(), strict=True)
    contender.model.eval()
    model.eval()
    outputs = model.forward(contender.sample)
    loss = sum(loss(contender.sample, outputs) for loss in contender.losses)
    torch.testing.assert_close(loss, contender.loss(), rtol=0, atol=0)


@pytest.mark.parametrize(("attention", "padded"), [("packed", False), ("sdpa", True)])
def test_the_tokens_are_those_that_the_model_of_the_yaml_computes(attention, padded):
    contender = ours("pretrain", f"model_config.visualbert.attention={attention}")
    assert contender.parts.visual_bert.attention == attention
    contender.scores()
    mask = contender.sample["text_mask"]
    longest, regions = int(mask.sum(1).max()), 2 * 5
    assert longest < PADDED_WORDS and mask.sum(1).min() < longest
    assert contender.tokens == (2 * longest if padded else int(mask.sum())) + regions


def test_bf16_is_the_precision_of_the_model():
    contender = ours("nlvr2", precision="bf16")
    assert contender.parts.precision == "bf16"
    assert contender.scores().dtype == torch.float32


def test_nothing_is_downloaded():
    for name in WORKLOADS:
        model = shipped(name).model_config.visualbert
        assert model.bert is None
        assert model.region_encoder is None or model.region_encoder.params.weights is None
