"""Foils: is a true caption likelier to the model than one with a word changed (VALSE, Parcalabescu et al. 2022)?

Pairs are JSON lines with `image` (its key in the store), `caption`, `foil` and, where there are kinds, `kind`; or one
of VALSE's official files, an object of entries with `image_file`, `caption`, `foil` and `linguistic_phenomena`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import torch

from mmf_visualbert.analysis.ablation import SENTENCE_IMAGE
from mmf_visualbert.analysis.intervals import Interval, Resamples, interval
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.files import read_json, read_json_lines, write_rows
from mmf_visualbert.runs import LoadedModel


class Pair(NamedTuple):
    """A caption and its foil about one image.

    Attributes:
        where: what errors call it.
        image: key of its regions.
        caption: that is true.
        foil: that is not.
        kind: of the change; empty where none is stated.
    """

    where: str
    image: str
    caption: str
    foil: str
    kind: str


class FoilAccuracy(NamedTuple):
    """Of pairs of a kind.

    Attributes:
        kind: "all", or a kind of change.
        pairs: how many.
        pairwise: share of pairs in which the caption is likelier than its foil; a tie is none.
        pairwise_interval: over images.
        captions: share of captions that the model calls true.
        foils: share of foils that it calls false.
    """

    kind: str
    pairs: int
    pairwise: float
    pairwise_interval: Interval
    captions: float
    foils: float


@dataclass(frozen=True)
class Foils:
    """Accuracies, those of all pairs first, and the images without regions, which were left out."""

    found: list[FoilAccuracy]
    missing: list[str]

    def write_csv(self, path: Path) -> None:
        """One line a kind."""
        rows: list[Sequence[object]] = [("kind", "pairs", "pairwise", "low", "high", "captions", "foils")]
        rows += [(a.kind, a.pairs, a.pairwise, *a.pairwise_interval, a.captions, a.foils) for a in self.found]
        write_rows(path, rows)


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file.

    Raises:
        InputError: for a file without pairs, or a pair without an image, a caption or a foil that differs.
    """
    pairs = [_pair(path, where, entry) for where, entry in _entries(path)]
    if not pairs:
        raise InputError(f"{path} has no pair; write a JSON line with image, caption and foil for each")
    return pairs


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == ".json":
        whole = read_json(path)
        several = whole.items() if isinstance(whole, dict) else enumerate(whole) if isinstance(whole, list) else ()
        yield from ((f"entry {name}", entry) for name, entry in several)
        return
    yield from ((f"line {number}", entry) for number, entry in read_json_lines(path))


def _pair(path: Path, where: str, entry: Any) -> Pair:
    where = f"{path} {where}"
    if not isinstance(entry, dict):
        raise InputError(f"{where} is no object; write image, caption and foil")
    image = entry.get("image", entry.get("image_file"))
    texts = [entry.get("caption"), entry.get("foil")]
    for name, value in (("image", image), ("caption", texts[0]), ("foil", texts[1])):
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{where} has no {name}; write one, as text")
    if texts[0] == texts[1]:
        raise InputError(f"{where} has the same text as caption and foil; change a word in the foil")
    kind = entry.get("kind", entry.get("linguistic_phenomena", ""))
    key = PurePosixPath(str(image))
    name = str(key.with_suffix("")) if key.suffix in (".jpg", ".png") else str(key)
    return Pair(where, name, str(texts[0]), str(texts[1]), str(kind))


def judge_foils(
    model: LoadedModel, store: FeatureStore, pairs: Iterable[Pair], batch_size: int = 32, resamples: int = 1000
) -> Foils:
    """Asks the sentence-image head about every caption and foil.

    Raises:
        InputError: for a model without that head, or where no pair has regions.
    """
    if SENTENCE_IMAGE not in model.parts.heads:
        raise InputError(
            f"foils need the head {SENTENCE_IMAGE}, and this model has {', '.join(model.parts.heads)}; name a "
            "checkpoint of COCO pre-training"
        )
    several = list(pairs)
    missing = list(dict.fromkeys(pair.image for pair in several if pair.image not in store))
    kept = [pair for pair in several if pair.image in store]
    if not kept:
        raise InputError(f"no pair's image is in {', '.join(store.paths)}, {missing[0]} for one; name their features")
    scores = torch.cat([_scores(model, store, kept[n : n + batch_size]) for n in range(0, len(kept), batch_size)])
    kinds = list(dict.fromkeys(pair.kind for pair in kept if pair.kind))
    found = [_accuracy("all", kept, scores, resamples)]
    for kind in kinds if len(kinds) > 1 else []:
        places = [place for place, pair in enumerate(kept) if pair.kind == kind]
        found.append(_accuracy(kind, [kept[place] for place in places], scores[places], resamples))
    return Foils(found, missing)


def _scores(model: LoadedModel, store: FeatureStore, pairs: Sequence[Pair]) -> torch.Tensor:
    """(pairs, 2): log-odds that caption and foil describe the image."""
    samples = []
    for pair in pairs:
        regions = model.regions(store.read(pair.image), pair.image)
        samples += [{**regions, **model.text.single(text).tensors()} for text in (pair.caption, pair.foil)]
    outputs = model.run(SENTENCE_IMAGE, samples, len(samples))
    logits = torch.cat([output.sentence_image_logits for output in outputs])
    return (logits[:, 1] - logits[:, 0]).view(-1, 2)


def _accuracy(kind: str, pairs: Sequence[Pair], scores: torch.Tensor, resamples: int) -> FoilAccuracy:
    right = scores[:, 0] > scores[:, 1]
    drawn = Resamples(resamples)
    drawn.add([pair.image for pair in pairs], torch.stack((right.float(), torch.ones(len(pairs))), dim=1)[:, None])
    low, high = interval(drawn.shares(0))[:, 0].tolist()
    captions, foils = (scores[:, 0] > 0).float().mean(), (scores[:, 1] < 0).float().mean()
    return FoilAccuracy(
        kind, len(pairs), float(right.float().mean()), Interval(low, high), float(captions), float(foils)
    )


def table(result: Foils) -> str:
    """All kinds, in lines."""
    lines = (
        [f"images without regions, left out: {len(result.missing)}, {result.missing[0]} first"]
        if result.missing
        else []
    )
    lines.append("kind                  pairs  caption likelier than foil  captions called true  foils called false")
    for one in result.found:
        low, high = (100 * x for x in one.pairwise_interval)
        pairwise = f"{100 * one.pairwise:.1f} ({low:.1f} to {high:.1f})"
        lines.append(
            f"{one.kind:20s} {one.pairs:6d}  {pairwise:26s}  {100 * one.captions:20.1f}  {100 * one.foils:18.1f}"
        )
    return "\n".join(lines)
