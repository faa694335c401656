"""The recipes' files in their official forms, about the sample world's pictures; and the recipes, run as written.

    visualbert sample-data --out data/sample --images 200
    python tests/recipes.py data/sample FOLDER [memes refcoco ...]

Every command of a page is run, with a small model and a detector of random weights and few proposals. It takes
minutes; no test.
"""

import csv
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from pages import ROOT, blocks

PAGES = ROOT / "docs" / "recipes"
LABELS = ("entailment", "neutral", "contradiction")
GENRES = ("Drama", "Comedy", "War", "News")
DETECTOR = "torchvision_r50_fpn_v2"
COUNTS = {"tweets": 80}  # of which its page draws 16 of each label
SPLITS = ("train", "dev", "test")
TWEETS = ("informative", "not_informative")
COLUMNS = "event_name tweet_id image_id tweet_text image label label_text label_image label_text_image".split()
SIZE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
SMALL = [
    "model_config.visualbert.bert=null",
    "training.batch_size=16",
    "training.max_epochs=2",
    "training.num_workers=0",
]
SMALL += [f"model_config.visualbert.size.{key}={value}" for key, value in SIZE.items()]


class Asked(NamedTuple):
    """A question of the sample world, with its picture's file."""

    picture: Path
    question: str
    answer: str


def questions(world: Path, count: int) -> list[Asked]:
    """Some of train's, of many pictures."""
    asked = json.loads((world / "vqa2/v2_OpenEnded_mscoco_train2014_questions.json").read_text())["questions"]
    given = json.loads((world / "vqa2/v2_mscoco_train2014_annotations.json").read_text())["annotations"]
    found = [
        Asked(
            world / f"images/train2014/COCO_train2014_{one['image_id']:012d}.png",
            one["question"],
            answer["multiple_choice_answer"],
        )
        for one, answer in zip(asked, given, strict=True)
    ]
    return found[:: max(1, len(found) // count)][:count]


def copy(picture: Path, path: Path) -> None:
    """A picture under another name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(picture, path)


def lines(path: Path, rows: list[dict]) -> None:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def thirds(asked: list[Asked]) -> dict[str, list[tuple[int, Asked]]]:
    """A half for train, a quarter for dev and for test, numbered."""
    numbered, half = list(enumerate(asked)), len(asked) // 2
    return {"train": numbered[:half], "dev": numbered[half : half + half // 2], "test": numbered[half + half // 2 :]}


def memes(asked: list[Asked], data: Path) -> None:
    """Hateful Memes; test has no labels."""
    for split, records in thirds(asked).items():
        rows = []
        for number, one in records:
            copy(one.picture, data / f"memes/img/{number:05d}.png")
            label = {} if split == "test" else {"label": int(one.answer in ("yes", "1"))}
            rows.append({"id": number, "img": f"img/{number:05d}.png", "text": one.question, **label})
        lines(data / f"memes/{split}.jsonl", rows)


def entailment(asked: list[Asked], data: Path) -> None:
    """SNLI-VE."""
    for split, records in thirds(asked).items():
        rows = []
        for number, one in records:
            copy(one.picture, data / f"flickr30k-images/{number:010d}.jpg")
            pair = {
                "Flickr30K_ID": f"{number:010d}",
                "pairID": f"{number:010d}.jpg#0r1n",
                "captionID": f"{number:010d}.jpg#0",
            }
            texts = {"sentence1": "A picture.", "sentence2": one.question}
            rows.append({**pair, **texts, "gold_label": LABELS[number % 3]})
        lines(data / f"snli_ve/snli_ve_{split}.jsonl", rows)


def movies(asked: list[Asked], data: Path) -> None:
    """MM-IMDb: a file a film, and which split it is of."""
    split = {}
    for name, records in thirds(asked).items():
        split[name] = [f"{number:07d}" for number, _ in records]
        for number, one in records:
            film = data / f"mmimdb/dataset/{number:07d}"
            copy(one.picture, film.with_suffix(".jpeg"))
            genres = list(islice(cycle(GENRES), number % 4, number % 4 + 2))
            film.with_suffix(".json").write_text(
                json.dumps({"plot": [one.question], "genres": genres, "title": "A film"})
            )
    (data / "mmimdb/split.json").write_text(json.dumps(split))


def medical(asked: list[Asked], data: Path) -> None:
    """VQA-RAD: several questions a picture."""
    records = []
    for number, one in enumerate(asked):
        name = f"synpic{number // 2:05d}.jpg"
        copy(asked[number // 2 * 2].picture, data / "vqa_rad/VQA_RAD Image Folder" / name)
        answer = int(one.answer) if one.answer.isdigit() else one.answer
        kind = "test_freeform" if number % 5 == 0 else "freeform"
        records.append(
            {"qid": number, "image_name": name, "question": one.question, "answer": answer, "phrase_type": kind}
        )
    (data / "vqa_rad/VQA_RAD Dataset Public.json").write_text(json.dumps(records))


def tweets(asked: list[Asked], data: Path) -> None:
    """CrisisMMD: tab separated, a row a picture, one of them gone."""
    for split, records in thirds(asked).items():
        rows = []
        for number, one in records:
            image = f"data_image/a_storm/10_9_2017/{number}_0.jpg"
            if number:
                copy(one.picture, data / "crisismmd" / image)
            label = TWEETS[number % 5 < 2]
            rows.append(
                ["a_storm", number, f"{number}_0", f"RT @one: {one.question} #storm", image, *[label] * 3, "Positive"]
            )
        path = data / f"crisismmd/task_informative_text_img_{split}.tsv"
        with path.open("w", newline="") as table:
            csv.writer(table, delimiter="\t").writerows([COLUMNS, *rows])


def refcoco(asked: list[Asked], data: Path) -> None:
    """RefCOCO: a pickle of what is said about the objects of COCO's instances."""
    refs, annotations = [], []
    for number, one in enumerate(asked):
        image = int(one.picture.stem.rpartition("_")[2])
        copy(one.picture, data / f"coco/train2014/{one.picture.stem}.jpg")
        annotations.append(
            {"id": number, "image_id": image, "bbox": [8.0, 8.0, 60.0 + number % 40, 70.0], "category_id": 1}
        )
        sentences = [
            {"sent_id": 2 * number + place, "sent": f"the {one.answer} thing", "raw": "", "tokens": []}
            for place in (0, 1)
        ]
        split = ("train", "train", "val", "testA", "testB")[number % 5]
        refs.append({"ref_id": number, "ann_id": number, "image_id": image, "split": split, "sentences": sentences})
    (data / "refcoco").mkdir()
    (data / "refcoco/refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    (data / "refcoco/instances.json").write_text(json.dumps({"images": [], "annotations": annotations}))


def photographs(asked: list[Asked], data: Path) -> None:
    """A folder and a csv, beside the folder of data."""
    rows = [["photo", "title", "department"]]
    for number, one in enumerate(asked):
        copy(one.picture, data.parent / f"photos/{number}.jpg")
        rows.append([f"{number}.jpg", f'{one.question}, "new"', ("kitchen", "outdoors")[number % 2]])
    with (data.parent / "shop.csv").open("w", newline="") as table:
        csv.writer(table).writerows(rows)


RECIPES: dict[str, Callable[[list[Asked], Path], None]] = {
    each.__name__: each for each in (memes, entailment, movies, medical, tweets, refcoco, photographs)
}


def few_proposals(folder: Path) -> None:
    """Writes the detector of the pages with so few proposals that it is quick on a CPU."""
    preset = ROOT / f"mmf_visualbert/configs/detectors/{DETECTOR}.yaml"
    wanted = "rpn_post_nms_top_n_test: 300"
    text = preset.read_text()
    assert wanted in text, preset
    (folder / f"{DETECTOR}.yaml").write_text(text.replace(wanted, "rpn_post_nms_top_n_test: 12"))


def draw(name: str, world: Path, folder: Path, count: int | None = None) -> None:
    """Writes a recipe's files below `folder`/data, where its page looks for them."""
    (folder / "data").mkdir(parents=True)
    RECIPES[name](questions(world, count or COUNTS.get(name, 40)), folder / "data")


def small(line: str, vocabulary: Path) -> str:
    """A command of a page with a small model, or with a detector of random weights and few proposals."""
    if line.startswith(("mmf_run", "mmf_predict")):
        return " ".join([line, *SMALL, f"model_config.visualbert.tokenizer={vocabulary}"])
    if line.startswith("visualbert extract"):
        return f"{line.replace(DETECTOR, f'{DETECTOR}.yaml')} --weights random:0 --shortest 64 --longest 80"
    if line.startswith("visualbert table"):
        return f"{line} model_config.visualbert.tokenizer={vocabulary}"
    return line


def script(text: str, vocabulary: Path) -> str:
    """A block of a page as it is run."""
    if "<<'END'" in text:
        return text
    return "\n".join(small(line, vocabulary) for line in text.replace("\\\n", " ").splitlines())


def run(name: str, world: Path, folder: Path) -> int:
    """Runs a page; the number of commands that failed."""
    draw(name, world, folder)
    few_proposals(folder)
    failed = 0
    for block in blocks(PAGES / f"{name}.md", "yaml", "bash"):
        if block.language == "yaml":
            path = folder / f"{name}.yaml"
            path.write_text(block.text)
            continue
        text = script(block.text, (world / "bert/vocab.txt").resolve())
        for command in [text] if "<<'END'" in text else text.splitlines():
            began = time.monotonic()
            done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)
            said = (done.stdout + done.stderr).strip().splitlines() or [""]
            print(
                f"{name}: {done.returncode} {time.monotonic() - began:.0f} s  {command[:70]!r}  {said[-1][:300]}",
                flush=True,
            )
            failed += done.returncode != 0
            if done.returncode:
                print("\n".join(said[-15:]))
    return failed


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sample, out = (Path(word).resolve() for word in sys.argv[1:3])
    sys.exit(sum(run(name, sample, out / name) for name in sys.argv[3:] or RECIPES) > 0)
