"""A few records of MMF's own datasets in their official forms, about the sample world's pictures."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from mmf_visualbert.features.store import FeatureStore, FeatureStoreWriter, RegionRecord

EQUAL = "datasets/equal.lmdb"
MARKED = ("hateful_memes", "flickr30k", "visual_entailment", "vizwiz", "mmimdb", "gqa", "okvqa", "coco")
MARKED += ("localized_narratives", "ade20k")
SPECIAL = ["<pad>", "<unk>"]
ENTAILMENT = ("entailment", "neutral", "contradiction")
MOST = 24


def write_world(data: Path) -> None:
    """Writes datasets/, and a folder that MMF's tokenizer takes, below `data`, which holds a sample world."""
    mark_as_there(data)
    (data / "bert" / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": 30522}))
    (data / "bert" / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    asked = questions(data)
    answers = [name for name, _ in Counter(answer for *_, answer in asked).most_common(6)]
    asked = [one for one in asked if one[2] in answers][:MOST]
    memes(data, asked)
    entailment(data, asked)
    films(data, asked)
    for name in ("vizwiz/v2019", "gqa/defaults", "okvqa/defaults"):
        questions_of(data / "datasets" / name, asked, answers)
    captions(data, asked)


def mark_as_there(data: Path) -> None:
    """MMF downloads what is not marked so."""
    import mmf
    from omegaconf import OmegaConf

    zoo = OmegaConf.to_container(OmegaConf.load(Path(mmf.__file__).parent / "configs/zoo/datasets.yaml"))
    for name in MARKED:
        found = zoo.get(name) or {}
        variations = {"defaults": found} if "version" in found else found
        for variation, content in variations.items():
            for folder in ("", "features", "annotations", "images"):
                mark = data / "datasets" / name / variation / folder / ".built.json"
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.write_text(json.dumps({"version": content["version"]}))


def questions(data: Path) -> list[tuple[str, str, str]]:
    """Image key, question, answer."""
    asked = json.loads((data / "vqa2/v2_OpenEnded_mscoco_train2014_questions.json").read_text())["questions"]
    given = json.loads((data / "vqa2/v2_mscoco_train2014_annotations.json").read_text())["annotations"]
    keys = (f"COCO_train2014_{one['image_id']:012d}" for one in asked)
    answers = [one["multiple_choice_answer"] for one in given]
    return [(key, one["question"], answer) for key, one, answer in zip(keys, asked, answers, strict=True)]


def store(data: Path, *names: str) -> None:
    """The features of the training pictures under other names, as many regions an image as MMF's own files have."""
    if not (data / EQUAL).exists():
        ours = FeatureStore(str(data / "features/vqa2/train2014.lmdb"))
        records = {key: ours.read(key).copy() for key in ours.keys()}
        least = min(len(record.features) for record in records.values())
        with FeatureStoreWriter(data / EQUAL, ours.info, "float16") as writer:
            for key, record in records.items():
                writer.add(
                    key, RegionRecord(record.features[:least], record.boxes[:least], record.width, record.height)
                )
    for name in names:
        target = data / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / EQUAL, target)


def lines(path: Path, records: list[dict]) -> None:
    """JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def without(records: list[dict], *names: str) -> list[dict]:
    """The records of a test split, whose labels are not given away."""
    return [{name: value for name, value in record.items() if name not in names} for record in records]


def imdb(path: Path, records: list[dict]) -> None:
    """MMF's npy of a header and records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = np.array([{"dataset_name": "sample", "version": "1"}, *records], dtype=object)
    np.save(path, content, allow_pickle=True)


def memes(data: Path, asked: list[tuple[str, str, str]]) -> None:
    """Hateful Memes."""
    folder = data / "datasets/hateful_memes/defaults"
    records = [
        {"id": number, "img": f"img/{key}.png", "text": text, "label": number % 2}
        for number, (key, text, _) in enumerate(asked)
    ]
    for split in ("train", "dev", "test", "dev_unseen", "test_unseen"):
        lines(folder / f"annotations/{split}.jsonl", without(records, "label") if split == "test" else records)
    store(data, "datasets/hateful_memes/defaults/features/detectron.lmdb")


def entailment(data: Path, asked: list[tuple[str, str, str]]) -> None:
    """SNLI-VE."""
    folder = data / "datasets/visual_entailment/defaults/annotations"
    records = [
        {
            "Flikr30kID": f"{key}.jpg",
            "pairID": f"{key}.jpg#{number}",
            "sentence1": "A picture.",
            "sentence2": text,
            "gold_label": ENTAILMENT[number % 3],
        }
        for number, (key, text, _) in enumerate(asked)
    ]
    for split in ("train", "dev", "test"):
        lines(folder / f"snli_ve_{split}.jsonl", records)
    store(data, "datasets/flickr30k/defaults/features/detectron.lmdb")


def films(data: Path, asked: list[tuple[str, str, str]]) -> None:
    """MM-IMDb."""
    genres = ["Drama", "Comedy", "War", "Horror", "Family", "Music"]
    records = [
        {"plot": [text], "genres": [genres[number % 6], genres[(number + 1) % 6]], "feature_path": f"{key}.npy"}
        for number, (key, text, _) in enumerate(asked)
    ]
    folder = data / "datasets/mmimdb/defaults"
    for split in ("train", "dev", "test"):
        lines(folder / f"annotations/{split}.jsonl", records)
    (folder / "extras").mkdir(parents=True, exist_ok=True)
    (folder / "extras/classes_mm_imdb.txt").write_text("\n".join([*SPECIAL, *genres]) + "\n")
    store(data, "datasets/mmimdb/defaults/features/features.lmdb")


def questions_of(folder: Path, asked: list[tuple[str, str, str]], answers: list[str]) -> None:
    """VizWiz, GQA, OK-VQA: MMF's npy of questions."""
    records = [
        {
            "question": text,
            "question_str": text,
            "question_tokens": text.lower().split(),
            "question_id": number,
            "image_id": number,
            "image_name": key,
            "feature_path": f"{key}.npy",
            "answers": [answer] * 10,
            "all_answers": [answer],
            "ocr_tokens": [],
            "ocr_info": [],
        }
        for number, (key, text, answer) in enumerate(asked)
    ]
    files = {
        "vizwiz": [f"annotations/imdb_vizwiz_{split}.npy" for split in ("train", "val", "test")],
        "gqa": [f"annotations/{split}_balanced_questions.npy" for split in ("train", "val", "test")],
        "okvqa": [f"annotations/annotations/imdb_{split}.npy" for split in ("train1", "val1", "test")],
    }[folder.parent.name]
    for file in files:
        is_test = folder.parent.name == "vizwiz" and "test" in file
        imdb(folder / file, without(records, "answers", "all_answers") if is_test else records)
    places = {
        "vizwiz": ("extras/vocabs/answers_vizwiz_7k.txt", "features/detectron.lmdb"),
        "gqa": ("vocabs/answers_gqa.txt", "features/gqa.lmdb"),
        "okvqa": ("extras/vocabs/answers_okvqa.txt", "features/features_fc6/COCO_trainval2014.lmdb"),
    }[folder.parent.name]
    (folder / places[0]).parent.mkdir(parents=True, exist_ok=True)
    (folder / places[0]).write_text("\n".join([*SPECIAL, *answers]) + "\n")
    store_at(folder / places[1])


def store_at(target: Path) -> None:
    """As `store`, of a path below the world's `datasets`."""
    world = next(parent for parent in target.parents if (parent / "vqa2").is_dir())
    store(world, str(target.relative_to(world)))


def captions(data: Path, asked: list[tuple[str, str, str]]) -> None:
    """COCO, Conceptual Captions and SBU, and GQA's questions, for masked language modeling."""
    records = [
        {
            "image_id": number,
            "image_name": key,
            "feature_path": f"{key}.npy",
            "captions": [text, text],
            "question_str": text,
            "question_id": number,
            "answers": [answer],
            "all_answers": [answer],
        }
        for number, (key, text, answer) in enumerate(asked)
    ]
    coco = data / "datasets/coco/defaults"
    for split in ("train", "val", "test"):
        imdb(coco / f"annotations/imdb_karpathy_{split}_by_image.npy", records)
    store_at(coco / "features/coco_trainval2014.lmdb")
    store_at(coco / "features/coco_test2015.lmdb")
    store_at(coco / "features/trainval2014.lmdb")
    store_at(coco / "features/test2015.lmdb")
    concepts = data / "datasets/cc/defaults"
    for name in ("train_all", "val"):
        imdb(concepts / f"annotations/{name}.npy", records)
    store_at(concepts / "features/cc_train.lmdb")
    store_at(concepts / "features/cc_val.lmdb")
    narratives = [
        {"dataset_id": "sample", "image_id": key, "annotator_id": 1, "caption": text} for key, text, _ in asked
    ]
    lines(data / "datasets/localized_narratives/defaults/annotations/flickr30k_train_captions.jsonl", narratives)
    for name in ("train", "val"):
        imdb(data / f"imdb/sbu_captions/{name}.npy", records)
    store_at(data / "sbu_captions/detectron_fix_100/fc6/train_val.lmdb")
