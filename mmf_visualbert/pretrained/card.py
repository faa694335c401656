"""The card of a model: what it is, what it was trained on, and a few lines that run."""

from pathlib import Path

import torch

import mmf_visualbert
from mmf_visualbert import catalog
from mmf_visualbert.checkpoints.sources import Source
from mmf_visualbert.datasets.one_answer import PAIRS
from mmf_visualbert.runs import LoadedModel

FRONT = """---
library_name: mmf_visualbert
license: bsd-3-clause
tags:
- visualbert
- vision-and-language
---
"""
EXAMPLES = {
    "visualbert_answer": 'model.answer("What color is the cat?", image)',
    "visualbert_pooled": 'model.judge("Both images show a cat.", [image, image])',
    "visualbert_phrase_grounding": 'model.ground("[A man] in [a red shirt] waits.", image)',
    "visualbert_masked_lm": 'model.fill("A [MASK] sits on a table.", image)',
    "visualbert_sentence_image": 'model.match("A cat sits on a table.", image)',
    "visualbert_choice": 'model.choose("Why does she smile?", ["She won.", "She lost."], image)',
    "visualbert_table": 'model.classify("a text", image)',
}

SCENES = "made from an image with the boxes and masks of its objects"
SCENE = 'model.choose("Why does [0] smile?", ["[0] won.", "[0] lost.", "[1] is full.", "It rains."], image)'


def model_card(model: LoadedModel, source: Source, detector: str | None, name: str) -> str:
    """The text of README.md, with the head that the hub reads.

    Args:
        model: what is saved.
        source: what it was made from.
        detector: that made its regions; None where that is not known.
        name: of the folder.
    """
    task = None if source.dataset is None else catalog.task_of_dataset(source.dataset)
    title = task.title if task is not None else "no task that is known"
    parts, regions = model.parts, model.regions
    weights = sum(weight.numel() for weight in parts.visual_bert.parameters())
    geometry = " and geometry" if regions.geometry else ""
    example = next((EXAMPLES[head] for head in parts.heads if head in EXAMPLES), 'model.encode("a text", image)')
    each = f"{regions.dimension} numbers each{geometry}, at most {regions.max_regions}"
    scenes = parts.region_encoder is not None
    if scenes:
        example = SCENE if PAIRS.head in parts.heads else 'model.encode("a text")'
    return f"""{FRONT}
# {name}

VisualBERT ([Li et al., 2019](https://arxiv.org/abs/1908.03557)), trained on {title}.

| | |
|---|---|
| made from | {Path(source.origin).name} |
| heads | {", ".join(parts.heads) or "none"} |
| encoder | {len(parts.visual_bert.encoder.layers)} layers of {parts.visual_bert.hidden_size}, {weights:,} weights |
| fusion, positions of aligned words | {source.model["fusion"]}, {source.model["alignment"]} |
| text | {model.text.tokenizer.vocab_size:,} word pieces, at most {model.text.max_seq_length} a text |
| regions | {SCENES if scenes else each} |
| detector | {"none" if scenes else detector or "not recorded: use the one that it was trained with"} |
| saved by | mmf_visualbert {mmf_visualbert.__version__}, torch {torch.__version__.partition("+")[0]} |
{training_lines(source)}
```python
import numpy as np

from mmf_visualbert import VisualBERT

model = VisualBERT.from_pretrained("{name}")
# {image_note(model)}
image = {image_of(model)}
print({example})
```

In transformers the folder loads as its `VisualBert` classes; give them `visual_token_type_ids=0`; left out they are 1.
{alignment_note(source)}"""


def training_lines(source: Source) -> str:
    """How it was trained, and its numbers on val: lines of the table, and another table."""
    trained = source.training
    lines = [f"| {name} | {value} |" for name, value in (trained.get("settings") or {}).items()]
    if trained.get("annotations"):
        lines.append(f"| trained on | {', '.join(trained['annotations'])} |")
    metrics = {**(trained.get("metrics") or {})}
    update = metrics.pop("update", None)
    if metrics:
        lines += ["", f"On val, at update {update} (`visualbert report` of the run gives intervals):"]
        lines += ["", "| | |", "|---|---|"]
        lines += [f"| {name.removeprefix('val/')} | {value:.4f} |" for name, value in metrics.items()]
    return "".join(f"{line}\n" for line in lines)


def image_of(model: LoadedModel) -> str:
    """An image for the example, as Python."""
    if model.parts.region_encoder is not None:
        return (
            '{"image": np.zeros((200, 300, 3), np.uint8), "names": ["person", "cup"], '
            '"boxes": [[0, 0, 99, 199], [99, 99, 199, 199]]}'
        )
    features = f"np.random.rand(36, {model.regions.dimension})"
    if not model.regions.geometry:
        return features
    return f'{{"features": {features}, "boxes": [[0, 0, 64, 64]] * 36, "width": 64, "height": 64}}'


def image_note(model: LoadedModel) -> str:
    """What an image is for this model."""
    if model.parts.region_encoder is not None:
        return "An image's path, bytes or pixels, with the class and box of each object; [0] in a text is the first."
    given = f"Regions of the detector above, (regions, {model.regions.dimension})"
    return f'{given}; with detector="..." an image\'s path does.'


def alignment_note(source: Source) -> str:
    """What differs there for regions that words are aligned with."""
    if source.model["alignment"] == "mean":
        return ""
    return (
        "Where a region is aligned with several words, they take the mean of their positions, and this model was "
        "trained with the sum.\n"
    )
