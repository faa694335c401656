"""The paper's optimizer and learning rate: Adam, warm-up over 10 % of the updates, linear decay to 0 (§4)."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mmf_visualbert.catalog import register

NOT_DECAYED = ("bias", "LayerNorm.weight")


def parameter_groups(module: nn.Module, weight_decay: float = 0.01) -> list[dict[str, Any]]:
    """All trainable parameters of `module` in two groups: decayed, and biases and LayerNorms, which are not (BERT)."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            (spared if name.endswith(NOT_DECAYED) else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


@register("optimizer", "visualbert_adam")
def visualbert_adam(
    params: Iterable[Tensor] | Iterable[dict[str, Any]],
    lr: float = 2e-5,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.01,
    correct_bias: bool = True,
) -> Optimizer:
    """Adam (Kingma & Ba, 2015) with decoupled weight decay.

    With g the gradient, m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2 and p <- p - lr (m' / (sqrt(v') + eps) + w p),
    where m' = m / (1 - b1^t) and v' = v / (1 - b2^t) at update t; without `correct_bias` m' = m and v' = v. MMF clips
    gradients itself.

    Args:
        params: parameters, or groups of them as `parameter_groups` makes them.
        lr: learning rate at its highest.
        betas: b1, b2.
        eps: eps.
        weight_decay: w, of groups that do not say their own.
        correct_bias: True as in Kingma & Ba, whom the paper cites; False as in the authors' code (BertAdam).
    """
    betas = (float(betas[0]), float(betas[1]))  # a list where it comes from yaml
    if correct_bias:
        return AdamW(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)
    return UncorrectedAdam(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


class UncorrectedAdam(Optimizer):
    """Adam without bias correction: m / (sqrt(v) + eps) from the first update on, as BERT and the authors train."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self.update(group, parameters, [parameter.grad for parameter in parameters])
        return loss

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """One update of the parameters of a group, each with its gradient."""
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["exp_avg"] = torch.zeros_like(parameter)
                self.state[parameter]["exp_avg_sq"] = torch.zeros_like(parameter)
        means = [self.state[parameter]["exp_avg"] for parameter in parameters]
        squares = [self.state[parameter]["exp_avg_sq"] for parameter in parameters]
        beta1, beta2 = group["betas"]
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
        denominators = torch._foreach_sqrt(squares)
        torch._foreach_add_(denominators, group["eps"])
        torch._foreach_addcdiv_(parameters, means, denominators, -group["lr"])


@register("scheduler", "visualbert_warmup_linear")
class WarmupLinear(LambdaLR):
    """The learning rate rises linearly from 0 over a share of the updates, then falls linearly towards 0 (§4).

    Update t of T = `num_training_steps`, counted from 1, is made with the highest rate times
    `warmup_linear((t - 1) / T)`: as in BertAdam, the rate is that of the share of updates done before it. So the first
    update is at 0, the highest rate is that of update 1 + T * `warmup_ratio`, and the last is a step away from 0.

    Args:
        optimizer: its groups' rates are the highest.
        num_training_steps: number of updates.
        warmup_ratio: share of them in which the rate rises; the paper's is 0.1.
        last_epoch: updates done already, -1 at the start.
    """

    def __init__(
        self, optimizer: Optimizer, num_training_steps: int, warmup_ratio: float = 0.1, last_epoch: int = -1
    ) -> None:
        def factor(step: int) -> float:
            return warmup_linear(step / max(1, num_training_steps), warmup_ratio)

        super().__init__(optimizer, factor, last_epoch)

    def step(self, epoch: int | None = None) -> None:
        """After an update: go on by one, or to update number `epoch`, which MMF's PyPI release gives each time."""
        if epoch is not None:
            self.last_epoch = epoch - 1
        super().step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, with the rate that this schedule has there: the number of steps may have changed."""
        super().load_state_dict(state_dict)
        self._last_lr = [
            base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


def warmup_linear(progress: float, warmup: float) -> float:
    """Factor of the learning rate when a share `progress` of the updates is done, the authors' "warmup_linear"."""
    if progress < warmup:
        return progress / warmup
    return max(0.0, (1 - progress) / (1 - warmup)) if warmup < 1 else 0.0
