"""Draws the whole world into a folder: pictures, the five annotation sets, region features, vocabulary."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmf_visualbert.sampleworld import captions, flickr30k, frames, nlvr2, vcr, vqa
from mmf_visualbert.sampleworld.draw import draw_scene, save_png
from mmf_visualbert.sampleworld.features import ATTRIBUTES, CLASSES, feature_stores
from mmf_visualbert.sampleworld.files import stream, write_json, write_json_lines, write_text
from mmf_visualbert.sampleworld.images import Picture
from mmf_visualbert.sampleworld.regions import Detector
from mmf_visualbert.sampleworld.scene import Scene, random_scene, some_words
from mmf_visualbert.sampleworld.sizes import Sizes
from mmf_visualbert.sampleworld.vocabulary import train_vocabulary

QUESTIONS_A_SCENE = 6
SENTENCES_A_SET = 10
QUESTIONS_A_FRAME = 4
ONTOLOGY = {"circle": "sportsball", "square": "book", "triangle": "kite", "star": "teddybear", "cross": "scissors"}
"""Shape -> the class of VCR's 80 objects by which a detector for VCR takes it."""


class Row(NamedTuple):
    """One line of the summary."""

    what: str
    split: str
    counts: str
    where: str


@dataclass
class World:
    """A world on its way into `folder`; each `draw_*` writes one annotation set and adds to `rows` and `texts`.

    Args:
        folder: where everything is written.
        seed: of all random streams.
        dimension: D of the region features.
        sizes: numbers of pictures.
        say: takes one line of progress.
        texts: all text so far, for the vocabulary.
        rows: the summary so far.
    """

    folder: Path
    seed: int
    dimension: int
    sizes: Sizes
    say: Callable[[str], None]
    texts: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def draw(self) -> None:
        """Everything."""
        detectors = {
            "vqa2": Detector("sample-vqa2", self.dimension),
            "nlvr2": Detector("sample-nlvr2", self.dimension, regions=(6, 10)),
            "flickr30k": Detector("sample-flickr30k", self.dimension, missed=0.03, sloppy=0.03),
        }
        self._draw_coco(detectors)
        self._draw_nlvr2(detectors["nlvr2"])
        self._draw_flickr30k(detectors["flickr30k"])
        self._draw_vcr()
        self._write_vocabulary()
        write_text(self.folder / "features/objects_vocab.txt", "".join(f"{name}\n" for name in CLASSES))
        write_text(self.folder / "features/attributes_vocab.txt", "".join(f"{name}\n" for name in ATTRIBUTES))

    def _draw_coco(self, detectors: dict[str, Detector]) -> None:
        """COCO's pictures, with captions, VQA 2.0, the features of three detectors, and detections for VCR's model."""
        pictures = {split: self._coco_pictures(split) for split in self.sizes.coco}
        for split, several in pictures.items():
            stores = {f"features/vqa2/{split}.lmdb": detectors["vqa2"]}
            if split != "test2015":
                stores[f"features/nlvr2/coco_{split}.lmdb"] = detectors["nlvr2"]
                stores[f"features/flickr30k/coco_{split}.lmdb"] = detectors["flickr30k"]
                self._write_detections(split, several)
            self._paint(several, stores)
            self._write_vqa(split, several)
        del pictures["test2015"]
        sentences = {
            split: [captions.captions_of(p.scene, stream(self.seed, "captions", p.key)) for p in several]
            for split, several in pictures.items()
        }
        official, karpathy = captions.coco_files(pictures, sentences)
        for split, content in official.items():
            path = f"coco/annotations/captions_{split}.json"
            write_json(self.folder / path, content)
            self.texts += [annotation["caption"] for annotation in content["annotations"]]
            self._count("captions", split, f"{len(content['annotations'])} captions", path)
        write_json(self.folder / "coco/dataset_coco.json", karpathy)

    def _coco_pictures(self, split: str) -> list[Picture]:
        first = {"train2014": 0, "val2014": 200_000, "test2015": 400_000}[split]
        numbers = first + np.sort(stream(self.seed, "ids", split).permutation(180_000)[: self.sizes.coco[split]]) + 9
        return [
            Picture(
                coco_scene(stream(self.seed, split, number)), f"images/{split}", f"COCO_{split}_{number:012d}", number
            )
            for number in numbers.tolist()
        ]

    def _write_vqa(self, split: str, pictures: list[Picture]) -> None:
        rng = stream(self.seed, "vqa2", split)
        asked = vqa.ask([picture.scene for picture in pictures], QUESTIONS_A_SCENE, rng)
        records = vqa.question_records(asked, [picture.number for picture in pictures])
        path = f"vqa2/v2_OpenEnded_mscoco_{split}_questions.json"
        write_json(self.folder / path, vqa.official(split, records, "questions"))
        self._count("VQA 2.0", split, f"{len(records)} questions", path)
        self.texts += [record["question"] for record in records]
        if split == "test2015":
            part = [record for record in records if record["image_id"] % 3 == 0]
            path = "vqa2/v2_OpenEnded_mscoco_test-dev2015_questions.json"
            write_json(self.folder / path, vqa.official("test-dev2015", part, "questions"))
            self._count("VQA 2.0", "test-dev2015", f"{len(part)} questions", path)
            return
        annotations = vqa.annotation_records(asked, records, rng)
        content = vqa.official(split, annotations, "annotations")
        write_json(self.folder / f"vqa2/v2_mscoco_{split}_annotations.json", content)
        self.texts += [given["answer"] for annotation in annotations for given in annotation["answers"]]

    def _write_detections(self, split: str, pictures: list[Picture]) -> None:
        found = {}
        for picture in pictures:
            things = picture.scene.things
            shapes = [(thing.box, [[(x, y) for x, y in thing.outline.tolist()]]) for thing in things]
            names = [ONTOLOGY[thing.shape] for thing in things]
            rng = stream(self.seed, "detections", picture.key)
            found[picture.file_name] = vcr.detections(shapes, names, (picture.width, picture.height), rng)
        write_json(self.folder / f"vcr/coco_detections_{split.removesuffix('2014')}.json", found)

    def _draw_nlvr2(self, detector: Detector) -> None:
        for split, number in self.sizes.nlvr2.items():
            sets = [
                nlvr2.make_set(stream(self.seed, "nlvr2", split, index), SENTENCES_A_SET) for index in range(number)
            ]
            pictures = [
                Picture(scene, f"images/nlvr2/{split}", nlvr2.image_name(split, index, pair, side))
                for index, pair_set in enumerate(sets)
                for pair, scenes in enumerate(pair_set.pairs)
                for side, scene in enumerate(scenes)
            ]
            self._paint(pictures, {f"features/nlvr2/{split}.lmdb": detector})
            rng = stream(self.seed, "nlvr2", split)
            lines = [line for index, one in enumerate(sets) for line in nlvr2.records(split, index, one, rng)]
            path = f"nlvr2/{split}.json"
            write_json_lines(self.folder / path, lines)
            self.texts += [line["sentence"] for line in lines]
            self._count("NLVR2", split, f"{len(lines)} sentences over {len(pictures) // 2} pairs", path)

    def _draw_flickr30k(self, detector: Detector) -> None:
        chain, root = 1, "flickr30k_entities"
        for split, number in self.sizes.flickr30k.items():
            first = {"train": 1_000_000, "val": 2_000_000, "test": 3_000_000}[split]
            pictures = []
            for index in range(number):
                scene = flickr30k.make_scene(stream(self.seed, "flickr30k", split, index))
                pictures.append(Picture(scene, "images/flickr30k", str(first + 37 * index), first + 37 * index))
            phrases = 0
            parsed = []
            for picture in pictures:
                sentences, entities = flickr30k.sentences_of(
                    picture.scene, chain, stream(self.seed, "entities", picture.key)
                )
                chain += entities.count
                phrases += sum(sentence.count("[/EN#") for sentence in sentences)
                write_text(
                    self.folder / root / "Sentences" / f"{picture.key}.txt", "".join(f"{line}\n" for line in sentences)
                )
                xml = flickr30k.annotation_xml(picture, entities)
                write_text(self.folder / root / "Annotations" / f"{picture.key}.xml", xml)
                self.texts += [plain for sentence in sentences for plain in flickr30k.plain_words(sentence)]
                parsed += flickr30k.parses(picture.key, sentences)
            self._paint(pictures, {f"features/flickr30k/{split}.lmdb": detector})
            write_text(self.folder / root / "parses" / f"{split}.conllu", "".join(parsed))
            path = f"{root}/{split}.txt"
            write_text(self.folder / path, "".join(f"{picture.key}\n" for picture in pictures))
            self._count("Flickr30K", split, f"{number * 5} sentences, {phrases} phrases", path)

    def _draw_vcr(self) -> None:
        for split, number in self.sizes.vcr.items():
            several = [frames.random_frame(stream(self.seed, "vcr", split, index)) for index in range(number)]
            asked = [
                vcr.questions(frame, QUESTIONS_A_FRAME, stream(self.seed, "vcr questions", split, index))
                for index, frame in enumerate(several)
            ]
            self.say(f"{number} frames for vcr/{split}")
            for index, frame in enumerate(several):
                names = vcr.frame_files(split, index)
                content = vcr.metadata(frame, stream(self.seed, "vcr boxes", split, index))
                write_json(self.folder / "vcr/vcr1images" / names.metadata, content)
                image = Image.fromarray(frames.draw_frame(frame))
                image.save(self.folder / "vcr/vcr1images" / names.image, quality=92)
            path = f"vcr/{split}.jsonl"
            lines = write_json_lines(self.folder / path, vcr.records(split, several, asked))
            casts = [vcr.Cast(frame) for frame in several]
            for cast, items in zip(casts, asked, strict=True):
                self.texts += [text for item in items for text in vcr.spoken(cast, item)]
            self._count("VCR", split, f"{lines} questions over {number} frames", path)

    def _write_vocabulary(self) -> None:
        vocabulary = train_vocabulary(self.texts)
        write_text(self.folder / "bert/vocab.txt", "".join(f"{piece}\n" for piece in vocabulary))
        self._count("vocabulary", "", f"{len(vocabulary)} word pieces", "bert/vocab.txt")

    def _paint(self, pictures: Iterable[Picture], stores: dict[str, Detector]) -> None:
        """Draws the pictures and writes their features into a store for each detector."""
        pictures = list(pictures)
        self.say(f"{len(pictures)} pictures for {', '.join(stores)}")
        (self.folder / pictures[0].folder).mkdir(parents=True, exist_ok=True)
        paths = {self.folder / path: detector for path, detector in stores.items()}
        with feature_stores(self.seed, paths) as features:
            for picture in pictures:
                pixels = draw_scene(picture.scene)
                save_png(pixels, self.folder / picture.path)
                features.add(picture, pixels)
        for path in stores:
            self._count("features", Path(path).stem, f"{len(pictures)} pictures", path)

    def _count(self, what: str, split: str, counts: str, where: str) -> None:
        self.rows.append(Row(what, split, counts, where))


def coco_scene(rng: np.random.Generator) -> Scene:
    """A scene of few colours and shapes that its things have to share, and that most other scenes do not have."""
    colors, shapes = some_words(rng, *rng.integers(2, 4, 2).tolist())
    return random_scene(rng, colors=colors, shapes=shapes)
