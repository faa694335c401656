"""The card of a model: what it is, what it was trained on, and a few lines that run."""

from pathlib import Path

import mmf_visualbert
from mmf_visualbert import catalog
from mmf_visualbert.checkpoints.sources import Source
from mmf_visualbert.runs import LoadedModel

FRONT = """---
library_name: mmf_visualbert
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
| regions | {regions.dimension} numbers each{geometry}, at most {regions.max_regions} |
| detector | {detector or "not recorded: use the one that it was trained with"} |
| saved by | mmf_visualbert {mmf_visualbert.__version__} |

```python
import numpy as np

from mmf_visualbert import VisualBERT

model = VisualBERT.from_pretrained("{name}")
# Regions of the detector above, (regions, {regions.dimension}); with detector="..." an image's path does.
image = {image_of(model)}
print({example})
```

In transformers the folder loads as its `VisualBert` classes; give them `visual_token_type_ids=0`; left out they are 1.
{alignment_note(source)}"""


def image_of(model: LoadedModel) -> str:
    """An image for the example, as Python."""
    features = f"np.random.rand(36, {model.regions.dimension})"
    if not model.regions.geometry:
        return features
    return f'{{"features": {features}, "boxes": [[0, 0, 64, 64]] * 36, "width": 64, "height": 64}}'


def alignment_note(source: Source) -> str:
    """What differs there for regions that words are aligned with."""
    if source.model["alignment"] == "mean":
        return ""
    return (
        "Where a region is aligned with several words, they take the mean of their positions, and this model was "
        "trained with the sum.\n"
    )
