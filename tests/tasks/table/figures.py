"""Trains each kind of table on the sample world, and holds its metrics against others' of the written file.

    visualbert sample-data --out data/sample
    python tests/tasks/table/figures.py data/sample FOLDER [--kinds binary choice ...] [--start CHECKPOINT]

Takes up to three minutes of a CPU for a kind. It prints the table of `mmf_visualbert/tasks/table/README.md`, and ends
with 1 where a metric is another than scikit-learn's, scipy's or torchmetrics'. No test: too long for that.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import OmegaConf
from scipy import stats
from sklearn import metrics
from torchmetrics.retrieval import RetrievalHitRate
from torchvision.ops import box_iou

from mmf_visualbert.features.store import FeatureStore

sys.path.insert(0, str(Path(__file__).parents[2]))
import table_world

POOL = 20
UPDATES = {"choice": 150, "retrieval": 300, "phrases": 400}  # what takes longer an update than the others do
Rows = list[dict]
Numbers = dict[str, float]
Words = list[str]


class Figures(NamedTuple):
    """Of a kind: what others' metrics give for predictions of rows, and what a guess has of the first of them.

    Of phrases the regions say that, and not the rows.
    """

    of_file: Callable[[Rows, Rows], Numbers]
    by_chance: Callable[[Rows], float] | None


def one_name(predicted: Rows, rows: Rows) -> Numbers:
    """Classification."""
    true, said = [str(row["label"]) for row in rows], [entry["label"] for entry in predicted]
    names = {"macro_f1": "macro", "weighted_f1": "weighted"}
    scores = {name: metrics.f1_score(true, said, average=average) for name, average in names.items()}
    return {"label_accuracy": metrics.accuracy_score(true, said), **scores}


def two_names(predicted: Rows, rows: Rows) -> Numbers:
    """Binary."""
    true = [row["label"] for row in rows]
    area = metrics.roc_auc_score(true, [entry["score"] for entry in predicted])
    return {"auroc": area, "label_accuracy": metrics.accuracy_score(map_str(true), [e["label"] for e in predicted])}


def map_str(values: Iterable) -> list[str]:
    """Each as text."""
    return [str(value) for value in values]


def several_names(predicted: Rows, rows: Rows) -> Numbers:
    """Multilabel."""
    names = list(predicted[0]["probabilities"])
    true = np.array([[name in row["label"] for name in names] for row in rows])
    scores = np.array([list(entry["probabilities"].values()) for entry in predicted])
    said = np.array([[name in entry["labels"] for name in names] for entry in predicted])
    return {
        "micro_f1_of_labels": metrics.f1_score(true, said, average="micro"),
        "macro_f1_of_labels": metrics.f1_score(true, said, average="macro"),
        "average_precision": metrics.average_precision_score(true, scores),
        "auroc_of_labels": metrics.roc_auc_score(true, scores),
    }


def number(predicted: Rows, rows: Rows) -> Numbers:
    """Regression."""
    true, said = [row["label"] for row in rows], [entry["value"] for entry in predicted]
    error = metrics.mean_absolute_error(true, said)
    return {
        "pearson": stats.pearsonr(true, said)[0],
        "spearman": stats.spearmanr(true, said)[0],
        "absolute_error": error,
    }


def right_choice(predicted: Rows, rows: Rows) -> Numbers:
    """Choice."""
    return {"label_accuracy": metrics.accuracy_score([r["label"] for r in rows], [e["label"] for e in predicted])}


def answer_of(row: dict) -> str:
    """The answer that all of a row's answers are."""
    return row["label"] if isinstance(row["label"], str) else row["label"][0]


def answer(predicted: Rows, rows: Rows) -> Numbers:
    """Answers."""
    return {"exact_match": metrics.accuracy_score([*map(answer_of, rows)], [entry["answer"] for entry in predicted])}


def boxes(predicted: Rows, rows: Rows) -> Numbers:
    """Phrases: whether the box said overlaps one of the phrase's by half."""
    hits = []
    for row, entry in zip(rows, predicted, strict=True):
        alone = "[" not in row["text"]
        for true, said in zip([[row["label"]]] if alone else row["label"], entry["phrases"], strict=True):
            overlaps = box_iou(torch.tensor([said["box"]]), torch.tensor(true, dtype=torch.float32))
            hits.append(bool((overlaps >= 0.5).any()))
    return {"recall_at_1": float(np.mean(hits))}


def region_at_random(rows: Rows, stores: list[str]) -> float:
    """How many of a phrase's regions are right, on average: what a region at random has."""
    store, shares = FeatureStore(stores), []
    for row in rows:
        regions = torch.tensor(store.read(row["image"]).boxes[:36])
        for true in [[row["label"]]] if "[" not in row["text"] else row["label"]:
            overlaps = box_iou(regions, torch.tensor(true, dtype=torch.float32))
            shares.append(float((overlaps >= 0.5).any(1).float().mean()))
    return float(np.mean(shares))


def ranks(predicted: Rows, rows: Rows) -> Numbers:
    """Retrieval, by torchmetrics: of the images of a text, and of the texts of an image, in its pool."""
    image_of = {row["id"]: Path(row["image"]).stem for row in rows}
    pool_of = {row["id"]: place // POOL for place, row in enumerate(rows)}
    right = torch.tensor([image_of[entry["id"]] == entry["image"] for entry in predicted])
    scores = torch.tensor([entry["probability"] for entry in predicted])
    texts = [entry["id"] for entry in predicted]
    images = [(pool_of[entry["id"]], entry["image"]) for entry in predicted]
    found = {}
    for name, queries in (("image", texts), ("text", images)):
        places = {query: place for place, query in enumerate(dict.fromkeys(queries))}
        index = torch.tensor([places[query] for query in queries])
        for k in (1, 5, 10):
            found[f"{name}_recall_at_{k}"] = float(RetrievalHitRate(top_k=k)(scores, right, indexes=index))
    return found


def most_frequent(labels: Iterable) -> float:
    """The share of the most frequent one."""
    counts = Counter(labels)
    return max(counts.values()) / sum(counts.values())


KINDS = {
    "classification": Figures(one_name, lambda rows: most_frequent(row["label"] for row in rows)),
    "binary": Figures(two_names, lambda rows: 0.5),
    "multilabel": Figures(several_names, lambda rows: guessed_labels(rows)),
    "regression": Figures(number, lambda rows: 0.0),
    "choice": Figures(right_choice, lambda rows: 1 / len(rows[0]["choices"])),
    "answers": Figures(answer, lambda rows: most_frequent(map(answer_of, rows))),
    "phrases": Figures(boxes, None),
    "retrieval": Figures(ranks, lambda rows: 1 / POOL),
}


def guessed_labels(rows: Rows) -> float:
    """Micro F1 of the best set of labels that is the same for all rows."""
    counts = Counter(name for row in rows for name in row["label"])
    true, best, right = sum(counts.values()), 0.0, 0
    for size, (_, count) in enumerate(counts.most_common(), start=1):
        right += count
        best = max(best, 2 * right / (true + size * len(rows)))
    return best


def captions(world: Path, folder: Path) -> dict:
    """Of retrieval: two captions of each picture, as questions tell no picture from another."""
    section = table_world.settings(world, folder, "phrases")
    for split, files in section["annotations"].items():
        said: dict[str, list[str]] = {}
        for row in read(files[0]):
            said.setdefault(row["image"], []).append(row["text"].replace("[", "").replace("]", ""))
        made = [{"id": image, "text": " ".join(several[:2]), "image": image} for image, several in said.items()]
        section["annotations"][split] = [str(table_world.write(folder / f"captions_{split}.jsonl", made))]
    return {**section, "kind": "retrieval", "pool": POOL}


def read(path: str) -> Rows:
    """JSON lines."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def command(program: str, *words: str) -> None:
    """One of this environment's commands, which has to end well."""
    done = subprocess.run([str(Path(sys.executable).parent / program), *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(
            f"{program} {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def figures_of(
    kind: str, world: Path, folder: Path, updates: int, start: list[str]
) -> tuple[Numbers, Numbers, float, float]:
    """What MMF measured, what others measure of the written file, chance of the first, and seconds of CPU."""
    section = captions(world, folder) if kind == "retrieval" else table_world.settings(world, folder, kind)
    path, save = folder / f"{kind}.yaml", folder / "save"
    content = {
        "includes": [
            f"projects/visualbert/configs/table/{kind}.yaml",
            "projects/visualbert/configs/scales/sample/common.yaml",
        ],
        "dataset_config": {"visualbert_table": section},
        "training": {"seed": 1, "max_epochs": None, "max_updates": updates, "tensorboard": False},
        "env": {"data_dir": str(world), "save_dir": str(save), "report_dir": str(folder / "reports")},
    }
    path.write_text(OmegaConf.to_yaml(OmegaConf.create(content)))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command("mmf_run", f"config={path}", *start)
    best = [
        f"config={path}",
        f"checkpoint.resume_file={save / 'best.ckpt'}",
        "checkpoint.reset.all=true",
        "run_type=test",
    ]
    command("mmf_run", *best, f"env.save_dir={folder / 'measured'}")
    command("mmf_predict", *best)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    measured = read(str(folder / "measured" / "metrics.jsonl"))[-1]
    ours = {name.rpartition("/visualbert_")[2]: value for name, value in measured.items() if "/visualbert_" in name}
    rows = read(section["annotations"]["test"][0])
    predicted = json.loads(next((folder / "reports").glob("*.json")).read_text())
    if kind != "retrieval" and [entry["id"] for entry in predicted] != [row["id"] for row in rows]:
        sys.exit(f"{kind}: the predictions are not those of the rows, in their order")
    by_chance = KINDS[kind].by_chance
    chance = region_at_random(rows, section["features"]["test"]) if by_chance is None else by_chance(rows)
    return ours, KINDS[kind].of_file(predicted, rows), chance, seconds


def main() -> int:
    """Prints a line a kind; 1 where two metrics differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--start", type=Path, help="a checkpoint of pre-training on captions, for retrieval")
    options = parser.parse_args()
    start = [f"checkpoint.resume_file={options.start}", "checkpoint.resume_pretrained=true"] if options.start else []
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    different = 0
    for kind in options.kinds:
        folder = (options.out / kind).resolve()
        folder.mkdir(parents=True)
        ours, theirs, chance, seconds = figures_of(
            kind,
            options.world.resolve(),
            folder,
            UPDATES.get(kind, options.updates),
            start if kind == "retrieval" else [],
        )
        said = ", ".join(f"{name} {ours[name]:.4f} ({value:.4f})" for name, value in theirs.items())
        differing = [name for name, value in theirs.items() if abs(ours[name] - value) > 1e-4]
        different += len(differing)
        print(
            f"| {kind} | {said} | {chance:.4f} | {seconds:.0f} |{' DIFFERENT: ' if differing else ''}{differing or ''}"
        )
        sys.stdout.flush()
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
