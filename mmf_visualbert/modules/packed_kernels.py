"""Attention over packed sequences on GPUs: the kernels that there are, and a probe that says which of them is right.

Each is called as `packed_attention.packed_attention` is, which is the CPU's. `padded` is their slow twin: it pads,
and hands what it made to torch's fused attention. A kernel is taken where it gives what the twin gives.

Shapes: N tokens of B sequences, M queries of the same B sequences, H = heads * d hidden size.
"""

import contextlib
import functools
import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from mmf_visualbert.compat.optional import is_installed
from mmf_visualbert.modules.lengths import Lengths
from mmf_visualbert.modules.on_host import to_device
from mmf_visualbert.modules.packed_attention import PackedStates, packed_attention

logger = logging.getLogger(__name__)

PackedKernel = Callable[[PackedStates, float], Tensor]
# A kernel adds in another order than its twin, and both round to the same type.
TIMES_THE_ERROR = 4.0
LENGTHS, QUERIES, HEADS, WIDTH, RATE = (37, 5, 64), (37, 0, 2), 4, 64, 0.25


def padded(states: PackedStates, dropout: float = 0.0) -> Tensor:
    """The slow twin: (M, H), by way of (B, heads, longest, d) and a mask."""
    queried, mask = (_mask(counts, states.query.device) for counts in (states.query_lengths, states.lengths))
    query, key, value = (
        _pad(each, places, states.num_heads) for each, places in zip(states[:3], (queried, mask, mask), strict=True)
    )
    context = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask.there[:, None, None, :], dropout_p=dropout
    )
    return context.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, queried.rows)


class _Places(NamedTuple):
    """Where packed rows stand when they are padded: `there` (B, longest) bool, `rows` (N,) of the flattened."""

    there: Tensor
    rows: Tensor


def _mask(counts: Sequence[int], device: torch.device) -> _Places:
    there = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    return _Places(to_device(there, device), to_device(there.flatten().nonzero().squeeze(1), device))


def _pad(states: Tensor, places: _Places, num_heads: int) -> Tensor:
    empty = states.new_zeros(places.there.numel(), states.size(-1))
    filled = empty.index_copy(0, places.rows, states)
    return filled.view(*places.there.shape, num_heads, -1).transpose(1, 2)


def nested(states: PackedStates, dropout: float = 0.0) -> Tensor:
    """torch's fused attention on nested tensors, with dropout in training. (M, H)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, that nested tensors are a prototype
        query, key, value = (
            torch.nested.nested_tensor_from_jagged(
                each.unflatten(1, (states.num_heads, -1)), offsets, min_seqlen=min(counts), max_seqlen=max(counts)
            ).transpose(1, 2)
            for each, offsets, counts in _with_offsets(states)
        )
        context = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return context.transpose(1, 2).values().flatten(1)


def _with_offsets(states: PackedStates) -> Iterator[tuple[Tensor, Tensor, Sequence[int]]]:
    """The three with their offsets; key and value share one tensor of them, as nested tensors of one shape have to."""
    query, key, value, query_lengths, lengths, _ = states
    shared = Lengths.of(lengths).offsets(key.device, torch.int64)
    yield query, Lengths.of(query_lengths).offsets(query.device, torch.int64), query_lengths
    yield key, shared, lengths
    yield value, shared, lengths


def varlen(states: PackedStates, dropout: float = 0.0) -> Tensor:
    """torch's attention for sequences of unequal length, which has no dropout. (M, H)."""
    if dropout:
        raise RuntimeError("varlen_attn has no dropout")
    attend = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    return attend(*_unpadded(states)).flatten(1)


def flash(states: PackedStates, dropout: float = 0.0) -> Tensor:
    """The package flash-attn's, with dropout in training. (M, H)."""
    attend = importlib.import_module("flash_attn").flash_attn_varlen_func
    return attend(*_unpadded(states), dropout_p=dropout).flatten(1)


def _unpadded(states: PackedStates) -> tuple[Any, ...]:
    """What flash-attn and torch's own kernels of its kind take: states by head, offsets, longest."""
    split = (each.unflatten(1, (states.num_heads, -1)) for each in states[:3])
    lengths = (states.query_lengths, states.lengths)
    offsets = (Lengths.of(counts).offsets(states.query.device, torch.int32) for counts in lengths)
    return (*split, *offsets, *map(max, lengths))


def torch_flash(states: PackedStates, dropout: float = 0.0) -> Tensor:
    """The kernel that `nested` comes to in bf16, without nested tensors around it, whose making takes the CPU longer
    than the GPU takes to attend. (M, H).
    """
    given = _unpadded(states)
    return torch.ops.aten._flash_attention_forward(*given, dropout, False, False)[0].flatten(1)


def torch_efficient(states: PackedStates, dropout: float = 0.0) -> Tensor:
    """The kernel that `nested` comes to in fp32, likewise. (M, H)."""
    given = _unpadded(states)
    query, key, value = (each.unsqueeze(0) for each in given[:3])
    for_backward = torch.is_grad_enabled()
    found = torch.ops.aten._efficient_attention_forward(query, key, value, None, *given[3:], dropout, 0, for_backward)
    return found[0].squeeze(0).flatten(1)


KERNELS: dict[str, PackedKernel] = {
    "flash_attn": flash,
    "varlen_attn": varlen,
    "torch_flash": torch_flash,
    "torch_efficient": torch_efficient,
    "nested": nested,
}
PARTS = ("context", "gradient of query", "gradient of key", "gradient of value")
WITH_DROPOUT = tuple(name for name in KERNELS if name != "varlen_attn")


def kernel_for(device: torch.device, kind: torch.dtype, dropout: float) -> PackedKernel:
    """What attends to packed states of this type on this device; decided once a process, and said in the log."""
    return packed_attention if device.type == "cpu" else chosen_kernel(device, kind, dropout > 0)


@functools.cache
def chosen_kernel(device: torch.device, kind: torch.dtype, with_dropout: bool) -> PackedKernel:
    """The first kernel that the probe finds right; the padded twin where there is none."""
    declined = []
    for name in WITH_DROPOUT if with_dropout else KERNELS:
        reason = why_not(name, device, kind, with_dropout)
        if reason is None:
            break
        declined.append(f"{name}: {reason}")
    else:
        name = "padded"
    purpose = "with dropout" if with_dropout else "without dropout"
    logger.info(f"attention of packed sequences on {device} in {kind} {purpose}: {name} ({'; '.join(declined) or '-'})")
    return KERNELS.get(name, padded)


def why_not(name: str, device: torch.device, kind: torch.dtype, with_dropout: bool) -> str | None:
    """What stands against a kernel on this device and type; None where it gives what its twin gives."""
    if name == "flash_attn" and not is_installed("flash_attn"):
        return "not installed"
    devices = [device] if device.type == "cuda" else []
    try:
        with contextlib.ExitStack() as stack:  # the run may be in an evaluation, which has no gradients
            for mode in (torch.random.fork_rng(devices), torch.inference_mode(False), torch.enable_grad()):
                stack.enter_context(mode)
            stack.enter_context(torch.autocast(device.type, enabled=False))
            return _fault(KERNELS[name], device, kind, with_dropout)
    except Exception as error:  # each kernel has errors of its own for what it cannot do
        return str(error).strip().split("\n")[0][:120] or type(error).__name__


def _fault(kernel: PackedKernel, device: torch.device, kind: torch.dtype, with_dropout: bool) -> str | None:
    torch.manual_seed(0)
    rows = (sum(QUERIES), sum(LENGTHS), sum(LENGTHS))
    given = [torch.randn(count, HEADS * WIDTH, dtype=torch.float64) for count in rows]
    above = torch.randn(rows[0], HEADS * WIDTH, dtype=torch.float64)
    exact = _results(padded, given, above, torch.device("cpu"), torch.float64)
    own, theirs = (_results(each, given, above, device, kind) for each in (padded, kernel))
    for what, right, one, other in zip(PARTS, exact, own, theirs, strict=True):
        error, allowed = (float((found - right).abs().max() / right.abs().max()) for found in (other, one))
        if not error <= TIMES_THE_ERROR * allowed + torch.finfo(kind).eps:
            return (
                f"its {what if what == 'context' else 'gradient ' + what} is {error:.0e} off, the twin's {allowed:.0e}"
            )
    return _fault_of_dropout(kernel, given, device, kind) if with_dropout else None


def _results(
    kernel: PackedKernel, given: Sequence[Tensor], above: Tensor, device: torch.device, kind: torch.dtype
) -> list[Tensor]:
    """The context and the three gradients, in float64 on the CPU."""
    query, key, value = (states.to(device, kind, copy=True).requires_grad_() for states in given)
    context = kernel(PackedStates(query, key, value, QUERIES, LENGTHS, HEADS), 0.0)
    gradients = torch.autograd.grad(context, (query, key, value), above.to(device, kind))
    return [found.detach().cpu().double() for found in (context, *gradients)]


def _fault_of_dropout(
    kernel: PackedKernel, given: Sequence[Tensor], device: torch.device, kind: torch.dtype
) -> str | None:
    """Of values that are all 1, weights that are dropped and scaled up give 1 on average, and not each 1."""
    query, key, value = (states.to(device, kind) for states in given)
    states = PackedStates(query * 0.1, key, torch.ones_like(value), QUERIES, LENGTHS, HEADS)
    context = kernel(states, RATE)
    one = context.detach().float()
    mean, spread = float(one.mean()), float(one.std())
    if not abs(mean - 1) < 0.1 or spread < 0.01:
        return f"its dropout of ones gives {mean:.2f} on average, with a deviation of {spread:.2f}"
    return None
