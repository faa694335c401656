"""The optimizer and the schedule, against their formulas written out."""

import copy

import pytest
import torch
from torch import nn

from mmf_visualbert import catalog
from mmf_visualbert.modules.optimizer import WarmupLinear, parameter_groups, visualbert_adam, warmup_linear


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(3, 2)
        self.LayerNorm = nn.LayerNorm(2)
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)


def by_hand(parameter, gradients, lr, decay, correct):
    """Adam with decoupled weight decay, one step after the other, in double precision."""
    p, m, v = parameter.double(), torch.zeros_like(parameter).double(), torch.zeros_like(parameter).double()
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g.double(), 0.999 * v + 0.001 * g.double() ** 2
        m_hat, v_hat = (m / (1 - 0.9**t), v / (1 - 0.999**t)) if correct else (m, v)
        p = p - lr * (m_hat / (v_hat.sqrt() + 1e-6) + decay * p)
    return p


@pytest.mark.parametrize("correct", [True, False])
def test_updates_are_the_formula(correct):
    module = Small()
    start = {name: value.detach().clone() for name, value in module.named_parameters()}
    optimizer = visualbert_adam(parameter_groups(module, 0.1), lr=0.01, betas=[0.9, 0.999], correct_bias=correct)
    gradients = {name: torch.randn(4, *value.shape) for name, value in start.items()}
    for step in range(4):
        for name, parameter in module.named_parameters():
            parameter.grad = gradients[name][step] if parameter.requires_grad else None
        optimizer.step()
    for name, parameter in module.named_parameters():
        decay = 0.1 if name == "dense.weight" else 0.0
        expected = by_hand(start[name], gradients[name], 0.01, decay, correct) if name != "frozen" else start[name]
        torch.testing.assert_close(parameter.detach().double(), expected.double(), atol=1e-6, rtol=1e-5)


def test_first_uncorrected_update_is_smaller():
    steps = {}
    for correct in (True, False):
        parameter = nn.Parameter(torch.zeros(1))
        optimizer = visualbert_adam([parameter], lr=1.0, weight_decay=0.0, correct_bias=correct)
        parameter.grad = torch.ones(1)
        optimizer.step()
        steps[correct] = -parameter.item()
    assert steps[True] == pytest.approx(1.0, rel=1e-4)
    assert steps[False] == pytest.approx(0.1 / 0.001**0.5, rel=1e-3)


def test_groups_cover_every_trainable_parameter_once():
    module = Small()
    groups = parameter_groups(module, 0.01)
    given = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(given) == sorted(id(parameter) for parameter in module.parameters() if parameter.requires_grad)
    assert groups[0]["params"] == [module.dense.weight] and groups[0]["weight_decay"] == 0.01
    assert groups[1]["weight_decay"] == 0.0


def test_state_of_the_uncorrected_optimizer_survives():
    def train(optimizer, parameter, steps):
        for _ in range(steps):
            parameter.grad = torch.ones(2)
            optimizer.step()

    first = nn.Parameter(torch.zeros(2))
    optimizer = visualbert_adam([first], lr=0.1, correct_bias=False)
    train(optimizer, first, 2)
    second = nn.Parameter(first.detach().clone())
    resumed = visualbert_adam([second], lr=0.1, correct_bias=False)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(optimizer, first, 2)
    train(resumed, second, 2)
    assert torch.equal(first, second)


def test_schedule():
    factors = [warmup_linear(step / 20, 0.1) for step in (0, 1, 2, 11, 20, 25)]
    assert factors == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0, 0.0])
    assert warmup_linear(0.25, 0.0) == 0.75
    assert warmup_linear(1.0, 1.0) == 0.0


@pytest.mark.parametrize("numbered", [True, False])
def test_scheduler_steps_with_and_without_a_number(numbered, recwarn):
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = visualbert_adam([parameter], lr=1.0)
    scheduler = WarmupLinear(optimizer, num_training_steps=10, warmup_ratio=0.2)
    assert optimizer.param_groups[0]["lr"] == 0.0
    rates = []
    for update in range(1, 11):
        parameter.grad = torch.ones(1)
        optimizer.step()
        scheduler.step(update) if numbered else scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0])
    assert not recwarn.list


def test_scheduler_resumes():
    def scheduler():
        return WarmupLinear(visualbert_adam([nn.Parameter(torch.zeros(1))], lr=1.0), 10)

    first, second = scheduler(), scheduler()
    first.optimizer.step()
    first.step(4)
    second.optimizer.step()
    second.load_state_dict(first.state_dict())
    second.step()
    assert second.get_last_lr() == pytest.approx([warmup_linear(0.5, 0.1)])


def test_scheduler_resumes_a_longer_run():
    first, longer = (WarmupLinear(visualbert_adam([nn.Parameter(torch.zeros(1))], lr=1.0), steps) for steps in (10, 20))
    first.optimizer.step()
    first.step(8)
    longer.optimizer.load_state_dict(first.optimizer.state_dict())
    longer.load_state_dict(first.state_dict())
    assert longer.optimizer.param_groups[0]["lr"] == pytest.approx(warmup_linear(8 / 20, 0.1))
    assert longer.get_last_lr() == pytest.approx([warmup_linear(8 / 20, 0.1)])


def test_registered():
    assert catalog.get("optimizer", "visualbert_adam") is visualbert_adam
    assert catalog.get("scheduler", "visualbert_warmup_linear") is WarmupLinear
