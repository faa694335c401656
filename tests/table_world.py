"""Tables of each kind about the sample world's pictures, made of its VQA questions."""

import csv
import json
from collections import Counter
from pathlib import Path


def questions(world: Path, split: str) -> list[dict]:
    """Question, image and majority answer of each question."""
    asked = json.loads((world / f"vqa2/v2_OpenEnded_mscoco_{split}_questions.json").read_text())["questions"]
    given = json.loads((world / f"vqa2/v2_mscoco_{split}_annotations.json").read_text())["annotations"]
    answers = {one["question_id"]: one for one in given}
    return [
        {
            "id": f"q{one['question_id']}",
            "text": one["question"],
            "image": f"COCO_{split}_{one['image_id']:012d}.jpg",
            "answer": answers[one["question_id"]]["multiple_choice_answer"],
            "type": answers[one["question_id"]]["answer_type"],
        }
        for one in asked
    ]


def phrases_of(world: Path, split: str) -> list[dict]:
    """Captions of the sample world's Flickr30K with marked phrases and boxes; every fourth is a phrase alone."""
    from mmf_visualbert.tasks.flickr30k.records import read_captions

    folder = world / "flickr30k_entities"
    captions, annotations = read_captions(
        [folder / f"{split}.txt"], folder / "Sentences", folder / "Annotations", split=split
    )
    made = []
    for number, caption in enumerate(caption for caption in captions if caption.phrases):
        boxes = annotations[caption.image_id].boxes
        words = list(caption.words)
        for phrase in caption.phrases:
            words[phrase.first_word] = "[" + words[phrase.first_word]
            words[phrase.last_word] += "]"
        given = [boxes[phrase.chain].tolist() for phrase in caption.phrases]
        if number % 4 == 0:
            words, given = caption.text_of(caption.phrases[0]).split(), given[0][0]
        made.append({"id": f"q{number}", "text": " ".join(words), "image": caption.image_id, "label": given})
    return made


def frequent(records: list[dict]) -> list[str]:
    """The most frequent answers: the labels of all splits."""
    return [name for name, _ in Counter(record["answer"] for record in records).most_common(8)]


def rows(kind: str, records: list[dict], words: list[str]) -> list[dict]:
    """The rows of a table of one kind."""
    made = []
    for number, record in enumerate(records):
        row = {name: record[name] for name in ("id", "text", "image")}
        if kind == "binary" and record["type"] == "yes/no":
            made.append({**row, "label": int(record["answer"] == "yes")})
        elif kind == "classification" and record["answer"] in words:
            made.append({**row, "label": record["answer"]})
        elif kind == "multilabel" and record["answer"] in words:
            made.append({**row, "label": [record["answer"], record["type"]] if number % 5 else []})
        elif kind == "regression" and record["answer"].isdigit():
            made.append({**row, "label": float(record["answer"]) / 2})
        elif kind == "choice" and record["answer"] in words:
            others = [word for word in words if word != record["answer"]][:3]
            others.insert(number % 4, record["answer"])
            made.append({**row, "choices": others, "label": number % 4})
        elif kind == "answers":
            made.append({**row, "label": record["answer"] if number % 2 else [record["answer"]] * (number % 4 + 1)})
        elif kind == "retrieval" and number % 3 == 0:
            made.append(row)
    return made


def write(path: Path, made: list[dict]) -> Path:
    """A file of rows by its ending; in csv lists have | between them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in made))
    elif path.suffix == ".json":
        path.write_text(json.dumps(made))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(made[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            for row in made:
                writer.writerow({k: "|".join(v) if isinstance(v, list) else v for k, v in row.items()})
    return path


def settings(world: Path, folder: Path, kind: str, ending: str = ".jsonl") -> dict:
    """Writes train and val of a kind into `folder`; gives the section of the dataset."""
    files, words = {}, frequent(questions(world, "train2014"))
    for split, official in (("train", "train2014"), ("val", "val2014")):
        made = phrases_of(world, split) if kind == "phrases" else rows(kind, questions(world, official), words)
        files[split] = [str(write(folder / f"{kind}_{split}{ending}", made))]
    stores = "flickr30k/{}.lmdb" if kind == "phrases" else "vqa2/{}2014.lmdb"
    features = {split: [str(world / "features" / stores.format(split))] for split in ("train", "val")}
    columns = {"id": "id", "choices": "choices" if kind == "choice" else None}
    return {
        "kind": kind,
        "annotations": {**files, "test": files["val"]},
        "features": {**features, "test": features["val"]},
        "columns": columns,
    }
