"""The explorer: one HTML file in which everybody can see what a model looks at (§5.3, Figures 1 and 5).

It needs no network, runs nothing that comes from data, and opens from a disk.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mmf_visualbert.analysis.judged import chosen
from mmf_visualbert.analysis.looks import look
from mmf_visualbert.analysis.pictures import data_uri, find_pictures
from mmf_visualbert.analysis.watching import WatchedModel
from mmf_visualbert.contracts import Dataset, Depicted, OneAnswer, Reply, Task
from mmf_visualbert.datasets.one_answer import ranked
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_rows, write_text
from mmf_visualbert.predict import ask

BEST = 5
MASKED = "visualbert_masked_lm"


@dataclass
class Page:
    """What stands on the page.

    Attributes:
        title: of the page.
        facts: name and value, above.
        layers: numbers of the layers that see regions.
        heads: of each layer.
        best: of each of `layers` the best head, from 0; None where no accuracies were given.
        looks: the examples.
        left_out: why examples are missing, and how many each.
        blank: images without a file.
    """

    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    layers: tuple[int, ...] = ()
    heads: int = 0
    best: list[int] | None = None
    looks: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    blank: int = 0


def explore(
    page: Page,
    model: WatchedModel,
    examples: Iterable[tuple[Depicted, dict[str, Any] | None]],
    task: Task | None,
    folders: Sequence[Path],
    image_size: int = 640,
) -> None:
    """Runs the model on examples and puts them on the page.

    Args:
        page: gets them.
        model: that is watched.
        examples: each as it is shown, and the sample where that is what the model reads.
        task: how its model answers one text.
        folders: where the images' files are.
        image_size: pixels of a picture's longer side.
    """
    several = list(examples)
    files = find_pictures(folders, {key for depicted, _ in several for key in depicted.images})
    for depicted, sample in several:
        try:
            replies = answers(model, depicted, sample, task)
        except InputError as error:
            reason = str(error)
            page.left_out[reason] = page.left_out.get(reason, 0) + 1
            continue
        seen = model.seen
        assert seen is not None
        pictures = [data_uri(files[key], image_size) if key in files else None for key in depicted.images]
        page.blank += pictures.count(None)
        page.layers, page.heads = seen.layers, seen.raw.shape[1]
        page.looks.append(look(seen, depicted, replies, model.text.tokenizer, pictures))


def answers(model: WatchedModel, depicted: Depicted, sample: dict[str, Any] | None, task: Task | None) -> list[Reply]:
    """What the model says of one example.

    Raises:
        InputError: where its task answers no single text, and the sample has no masked word.
    """
    if depicted.text is not None and task is not None and task.answer is not None:
        return of_text(model, task.answer, depicted)
    if depicted.candidates and sample is not None and task is not None and task.choice is not None:
        return chosen(depicted, model.run(task.choice.head, sample))
    if sample is None or "masked_lm_labels" not in sample:
        raise InputError("this model answers no single text, and its samples hide no word; name another run")
    labels = sample["masked_lm_labels"]
    if not bool((labels != -1).any()):
        raise InputError("no word of the text is hidden")
    logits = model.run(MASKED, sample).masked_lm_logits.detach().float()
    gold = [model.text.tokenizer.token(index) for index in labels[labels != -1].tolist()]
    return [
        reply
        for number, (row, word) in enumerate(zip(logits.softmax(-1), gold, strict=True), start=1)
        for reply in ranked(f"[MASK] {number}, {word}", row, model.text.tokenizer.token, BEST)
    ]


def of_text(model: WatchedModel, way: OneAnswer, depicted: Depicted) -> list[Reply]:
    """The answers to a text about images."""
    asked = ask(model, way, depicted.text or "", depicted.records, depicted.images, BEST)
    output = model.run(way.head, asked.sample)
    fields = {name: value.detach().float() for name, value in output._asdict().items() if value is not None}
    return way.tell(model, asked, output._replace(**fields))


def spread(count: int, length: int) -> list[int]:
    """`count` places, evenly over 0 to `length` - 1."""
    if count >= length:
        return list(range(length))
    return [place * length // count for place in range(count)]


def depicted(dataset: Dataset, task: Task, wanted: Sequence[int]) -> Iterator[tuple[Depicted, dict[str, Any] | None]]:
    """Examples of a data set.

    Raises:
        InputError: for a task that no page shows.
    """
    if task.depict is None:
        raise InputError(f"examples of {task.title} cannot be shown yet; give --text and --image in place of a split")
    for index in wanted:
        shown = task.depict(dataset, index)
        yield shown, dict(dataset[index]) if shown.text is None else None


def best_heads(path: Path, layers: Sequence[int], heads: int) -> list[int]:
    """Of each layer the best head, from 0, of a csv that `visualbert analyze entity` wrote.

    Raises:
        InputError: for another file, or one of another model.
    """
    found: dict[int, tuple[float, int]] = {}
    rows = [row for _, row in read_rows(path) if row]
    for row in rows[1:]:
        try:
            named = dict(zip(rows[0], row, strict=True))
            layer, head, accuracy = int(named["layer"]), int(named["head"]), float(named["accuracy"])
        except (KeyError, ValueError):
            raise InputError(f"{path} is no file of heads; write it with visualbert analyze entity --out") from None
        if not 1 <= head <= heads:
            raise InputError(f"{path} has a head {head}, and this model has {heads}; name its own file")
        found[layer] = max(found.get(layer, (-1.0, 0)), (accuracy, head - 1))
    missing = [layer for layer in layers if layer not in found]
    if missing:
        raise InputError(f"{path} has no heads of layer {missing[0]}, which this model has; name its own file")
    return [found[layer][1] for layer in layers]


def in_script(content: Any) -> str:
    """JSON that can stand inside a script element, whatever texts it holds."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def notes(page: Page) -> list[str]:
    """What a reader has to know of what is not there."""
    lines = [f"{len(page.looks)} examples; weights are bytes, 255 for a head's largest."]
    if page.blank:
        lines.append(f"{page.blank} images have no file here: their boxes stand on a blank canvas.")
    lines += [f"{count} left out: {reason}." for reason, count in page.left_out.items()]
    lines.append("A region belongs to a gold box from an IoU of 0.5 on; * has a tenth of the weight or more, outside.")
    return lines


def render(page: Page) -> str:
    """The page as text.

    Raises:
        InputError: where there is nothing to show.
    """
    if not page.looks:
        why = "; ".join(page.left_out) or "no example was chosen"
        raise InputError(f"there is nothing to show: {why}")
    names = ("name", "kind", "right")
    index = {
        "layers": list(page.layers),
        "heads": page.heads,
        "best": page.best,
        "examples": [{**{name: one[name] for name in names}, "text": short(one["words"])} for one in page.looks],
    }
    script, style = own_file("explore.js"), own_file("page.css")
    return (
        environment()
        .get_template("explore.html.j2")
        .render(
            title=page.title,
            facts=page.facts,
            notes=notes(page),
            script=script,
            style=style,
            policy=policy(script, style),
            index=in_script(index),
            examples=[in_script(one) for one in page.looks],
        )
    )


def short(words: Sequence[str], most: int = 60) -> str:
    """The text of word pieces, for a list."""
    text = " ".join(words[1:-1]).replace(" ##", "")
    return text if len(text) <= most else text[: most - 1] + "…"


def environment() -> Environment:
    """Templates of the pages; what stands in them is escaped."""
    return Environment(
        loader=PackageLoader("mmf_visualbert.analysis", "page"), autoescape=True, undefined=StrictUndefined
    )


def own_file(name: str) -> str:
    """A file of the pages' folder."""
    return (Path(__file__).parent / "page" / name).read_text(encoding="utf-8")


def policy(script: str, style: str) -> str:
    """The page's own law: this script and this style alone, no address but what is written into the page."""
    script_hash, style_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)
    )
    return f"default-src 'none'; img-src data:; script-src 'sha256-{script_hash}'; style-src 'sha256-{style_hash}'"


def write(page: Page, path: Path, most_megabytes: float) -> int:
    """Writes the page; gives its bytes.

    Raises:
        InputError: for a page larger than it may be.
    """
    text = render(page)
    size = len(text.encode())
    if size > most_megabytes * 1e6:
        raise InputError(
            f"the page would have {size / 1e6:.1f} MB, and {most_megabytes:g} are allowed; give fewer examples with "
            "--count, smaller pictures with --image-size, or raise --megabytes"
        )
    write_text(path, text)
    return size
