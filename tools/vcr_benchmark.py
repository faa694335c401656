"""What a fine-tuning step on VCR costs: memory, time, and padding among the tokens that are computed.

python tools/vcr_benchmark.py --batch 8 --json benchmarks/vcr_cpu.json
python tools/vcr_benchmark.py --batch 32 --annotations vcr/train.jsonl --steps 0 --json benchmarks/vcr_padding.json

BERT-base and ResNet50 with random weights, frames of 768 x 384 pixels, four sequences a question, bf16. Texts have the
lengths of `--annotations`, or, without it, are drawn with the mean lengths that VCR's authors state (question 6.6,
answer 7.5, rationale 16.2 words). The figures are for a mode in which the RoI backbone is trained along.
"""

import argparse
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmf_visualbert.errors import InputError
from mmf_visualbert.modules.batch import visual_bert_inputs
from mmf_visualbert.modules.build import build_visual_bert
from mmf_visualbert.modules.heads.pooled import ChoiceHead
from mmf_visualbert.reproduce.results import write_json
from mmf_visualbert.tasks.vcr.objects import mentioned_objects
from mmf_visualbert.tasks.vcr.records import CHOICES, VcrAnnotations
from mmf_visualbert.tasks.vcr.roi_regions import build_roi_regions

SIZE = (768, 384)
LONGEST, REGIONS, PIECES_A_WORD, STATED_WORDS = 128, 32, 1.15, {"question": 6.6, "answer": 7.5, "rationale": 16.2}


def lengths(options: argparse.Namespace, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Word pieces of each sequence (N, 4), special ones counted, and regions of each question (N,)."""
    if not options.annotations:
        questions = 64 * options.batch
        words = {name: _drawn(mean, (questions, CHOICES), random) for name, mean in STATED_WORDS.items()}
        regions = 2 + random.poisson(2.4, questions)
    else:
        records = list(VcrAnnotations(options.annotations, labels_required=False))
        shapes = [([len(r.question)] * CHOICES, [*map(len, r.answers)], [*map(len, r.rationales)]) for r in records]
        words = {name: PIECES_A_WORD * np.array([s[i] for s in shapes]) for i, name in enumerate(STATED_WORDS)}
        regions = np.array([1 + len(mentioned_objects(record)) for record in records])
    context = words["question"][:, :1] + (words["answer"][:, :1] if options.mode == "rationale" else 0)
    total = context + words[options.mode] + 3
    return np.minimum(np.round(total), LONGEST).astype(int), np.minimum(regions, REGIONS)


def _drawn(mean: float, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    spread = np.sqrt(np.log(1.25))  # half the mean is the deviation
    return PIECES_A_WORD * random.lognormal(np.log(mean) - spread**2 / 2, spread, shape).clip(1)


def batch_of(words: np.ndarray, regions: np.ndarray) -> dict[str, Tensor]:
    """A batch of questions with these lengths."""
    count = len(words)
    text_mask = torch.arange(LONGEST) < torch.from_numpy(words)[..., None]
    region_mask = torch.arange(REGIONS) < torch.from_numpy(regions)[:, None]
    corners = torch.rand(count, REGIONS, 2, 2).sort(dim=2).values.flatten(2) * torch.tensor([*SIZE, *SIZE])
    return {
        "id": torch.arange(count),
        "input_ids": torch.randint(1000, 30000, text_mask.shape) * text_mask,
        "text_mask": text_mask,
        "text_segments": torch.zeros(text_mask.shape, dtype=torch.int64),
        "alignment": torch.full((count, CHOICES, REGIONS, 8), -1),
        "image": torch.randn(count, 3, SIZE[1], SIZE[0]),
        "region_pixel_boxes": corners * region_mask[..., None],
        "region_masks": (torch.rand(count, REGIONS, 14, 14) > 0.5).float(),
        "region_classes": torch.ones(count, REGIONS, dtype=torch.int64) * region_mask,
        "region_mask": region_mask,
        "region_segments": torch.zeros(count, REGIONS, dtype=torch.int64),
    }


class Step(nn.Module):
    """Region encoder, encoder and head of fine-tuning."""

    def __init__(self, attention: str) -> None:
        super().__init__()
        self.encoder = build_roi_regions(backbone="resnet50", region_dimension=512)
        self.visual_bert = build_visual_bert(region_dimension=512, random_init=True, attention=attention)
        self.head = ChoiceHead(hidden_size=self.visual_bert.hidden_size)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """The loss of a batch, the first choice being right."""
        text, regions = visual_bert_inputs(batch, self.encoder(batch).features)
        scores = self.head(self.visual_bert(text, regions), batch).scores
        return nn.functional.cross_entropy(
            scores.float(), torch.zeros(len(scores), dtype=torch.int64).to(scores.device)
        )


def padding_share(words: np.ndarray, regions: np.ndarray, options: argparse.Namespace) -> float:
    """Share of padding among the tokens that enter the first layer, over all batches."""
    size = {"hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8, "num_hidden_layers": 1}
    visual_bert = build_visual_bert(
        region_dimension=1, random_init=True, attention=options.attention, vocab_size=30522, **size
    )
    computed: list[int] = []
    visual_bert.encoder.layer[0].register_forward_hook(
        lambda _, given, __: computed.append(given[0].shape[:-1].numel())
    )
    real = 0
    for first in range(0, len(words) - options.batch + 1, options.batch):
        chosen = slice(first, first + options.batch)
        batch = {name: value for name, value in batch_of(words[chosen], regions[chosen]).items() if name != "image"}
        with torch.no_grad():
            visual_bert(*visual_bert_inputs(batch, torch.zeros(options.batch, REGIONS, 1)))
        real += int(batch["text_mask"].sum() + CHOICES * batch["region_mask"].sum())
    return 1 - real / sum(computed)


def measure_steps(words: np.ndarray, regions: np.ndarray, options: argparse.Namespace) -> dict[str, Any]:
    """Memory and time of training steps with Adam."""
    model = Step(options.attention).to(options.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    batch = {k: v.to(options.device) for k, v in batch_of(words[: options.batch], regions[: options.batch]).items()}
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept, seconds = {}, []

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    for _ in range(options.steps):
        begin = time.time()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            with torch.autocast(options.device, torch.bfloat16):
                loss = model(batch)
        activations = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        kept.clear()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(round(time.time() - begin, 2))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    on_gpu = options.device == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "parameters": parameters,
        "gib_weights_gradients_adam": _gib(16 * parameters),
        "gib_kept_for_backward": _gib(activations),
        "gib_sum": _gib(16 * parameters + activations),
        "gib_peak_on_gpu" if on_gpu else "gib_peak_of_process": _gib(peak),
        "seconds_a_step": seconds,
    }


def _gib(count: int) -> float:
    return round(count / 2**30, 2)


def main() -> int:
    """Measures, prints, writes; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="questions")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--mode", default="answer", choices=["answer", "rationale"])
    parser.add_argument("--attention", default="auto", help="of the encoder: auto, packed, sdpa, eager")
    parser.add_argument("--annotations", nargs="*", type=Path, help="VCR's official JSON lines")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    try:
        words, regions = lengths(options, np.random.default_rng(0))
        if len(words) < options.batch:
            raise InputError(
                f"--annotations hold {len(words)} questions, fewer than --batch {options.batch}; give more"
            )
        found = {
            "command": " ".join(["python", "tools/vcr_benchmark.py", *sys.argv[1:]]),
            "machine": {
                "device": torch.cuda.get_device_name() if options.device == "cuda" else platform.machine(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            },
            "mean_pieces": round(float(words.mean()), 1),
            "mean_regions": round(float(regions.mean()), 1),
            "padding_share": round(padding_share(words, regions, options), 4),
        }
        if options.steps:
            found |= measure_steps(words, regions, options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for name, value in found.items():
        print(f"{name:>28}  {value}")
    if options.json:
        write_json(options.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
