"""VCR of the world: official json lines and metadata, choices that text alone cannot tell apart."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

from mmf_visualbert.sampleworld.frames import GROUNDS, ITEMS, SHIRTS, TROUSERS, draw_frame, random_frame
from mmf_visualbert.sampleworld.vcr import Cast, metadata, questions, spoken
from mmf_visualbert.sampleworld.words import COLORS
from mmf_visualbert.tasks.vcr.objects import METADATA, parse_objects, read_objects
from mmf_visualbert.tasks.vcr.records import parse_record


@pytest.fixture(scope="module")
def asked():
    frames = [random_frame(np.random.default_rng([4, index])) for index in range(400)]
    return [(frame, questions(frame, 4, np.random.default_rng([5, index]))) for index, frame in enumerate(frames)]


@pytest.fixture
def lines(small_world):
    return {
        split: [json.loads(line) for line in (small_world / f"vcr/{split}.jsonl").read_text().splitlines()]
        for split in ("train", "val", "test")
    }


def test_frames_hold_two_to_four_people_and_all_items(asked):
    assert {len(frame.people) for frame, _ in asked} == {2, 3, 4}
    for frame, _ in asked:
        assert [item.name for item in frame.items] == list(ITEMS)
        for x1, y1, x2, y2 in (one.box for one in (*frame.people, *frame.items)):
            assert 0 <= x1 < x2 <= 192 and 0 <= y1 < y2 <= 96


def test_frames_show_shirts_trousers_and_grounds(asked):
    for frame, _ in asked[:10]:
        pixels = draw_frame(frame).astype(int)
        for person in frame.people:
            seen = pixels[round(person.y - 0.6 * person.tall), round(person.x)]
            assert min(SHIRTS, key=lambda color: np.abs(seen - COLORS[color]).sum()) == person.shirt
        for person in frame.people:
            x, y = person.x - 0.07 * person.tall, person.y - 0.2 * person.tall
            if not any(x1 - 2 < x < x2 + 2 and y1 - 2 < y < y2 + 2 for x1, y1, x2, y2 in (i.box for i in frame.items)):
                seen = pixels[round(y), round(x)]
                assert min(TROUSERS, key=lambda color: np.abs(seen - TROUSERS[color]).sum()) == person.trousers
        for column, ground in enumerate(frame.grounds):
            seen = np.median(pixels[92:95, column * 48 + 4 : column * 48 + 44].reshape(-1, 3), axis=0)
            assert min(GROUNDS, key=lambda name: np.abs(seen - GROUNDS[name]).sum()) == ground


def test_right_choices_are_true(asked):
    """Read back from the words, independently of how they were made."""
    for frame, items in asked:
        cast = Cast(frame)
        for item in items:
            for text in (item.answers[item.right_answer], item.rationales[item.right_rationale]):
                words = [token for token in text if isinstance(token, str)]
                tags = [token[0] for token in text if isinstance(token, list)]
                person = frame.people[tags[0]]
                if "holding" in words:
                    assert person.holds and person.holds.name == cast.names[tags[1]]
                elif "standing" in words:
                    assert person.ground == words[-2]
                elif "trousers" in words:
                    assert [word for word in words if word in TROUSERS] == [person.trousers]
                elif "shirt" in words:
                    shirts = [word for word in words if word in SHIRTS]
                    assert shirts == [frame.people[tag].shirt for tag in tags]
                else:
                    assert item.kind == "who" and person.shirt in item.question


def test_one_choice_alone_is_right(asked):
    for frame, items in asked:
        for item in items:
            for choices in (item.answers, item.rationales):
                assert len(choices) == 4 and len({str(choice) for choice in choices}) == 4
            if item.kind == "who":
                color = item.question[4]
                assert [person.shirt for person in frame.people].count(color) == 1


def test_all_kinds_are_asked_and_tags_may_hold_two(asked):
    kinds = Counter(item.kind for _, items in asked for item in items)
    assert set(kinds) == {"shirt", "trousers", "holding", "where", "who", "both"}
    assert min(kinds.values()) > 20 and kinds["shirt"] + kinds["trousers"] > 0.7 * kinds.total()
    assert any(isinstance(token, list) and len(token) == 2 for _, items in asked for i in items for token in i.question)


@pytest.mark.parametrize("part", ["answers", "rationales"])
def test_text_alone_is_right_one_time_in_four(asked, part):
    """A guesser that knows from other frames how often each choice was right after its context, tag numbers and all."""
    right = {"answers": "right_answer", "rationales": "right_rationale"}[part]
    halves = asked[:200], asked[200:]
    for blind_to_tags in (False, True):
        seen = defaultdict(Counter)
        for _, items in halves[0]:
            for item in items:
                for index, choice in enumerate(getattr(item, part)):
                    seen[_key(item, part, choice, blind_to_tags)][index == getattr(item, right)] += 1
        hits = []
        for _, items in halves[1]:
            for item in items:
                counters = [seen[_key(item, part, choice, blind_to_tags)] for choice in getattr(item, part)]
                scores = [(counter[True] + 0.25) / (counter.total() + 1) for counter in counters]
                hits.append(int(np.argmax(scores)) == getattr(item, right))
        assert 0.19 < np.mean(hits) < 0.32


def _key(item, part: str, choice: list, blind_to_tags: bool) -> str:
    context = [item.question] if part == "answers" else [item.question, item.answers[item.right_answer]]
    texts = [*context, choice]
    if blind_to_tags:
        texts = [["tag" if isinstance(token, list) else token for token in text] for text in texts]
    return str(texts)


def test_labels_are_spread_evenly(asked):
    for right in ("right_answer", "right_rationale"):
        counts = Counter(getattr(item, right) for _, items in asked for item in items)
        assert min(counts.values()) / sum(counts.values()) > 0.2


def test_annotation_ids_count_up(lines):
    for split, several in lines.items():
        assert [line["annot_id"] for line in several] == [f"{split}-{index}" for index in range(len(several))]


def test_metadata_is_official_and_fits_the_frames(small_world, lines, shared):
    real = next((shared / "realdata/vcr/vcr1images").rglob("*.json"))
    theirs = json.loads(real.read_text())
    for line in lines["val"]:
        ours = json.loads((small_world / "vcr/vcr1images" / line["metadata_fn"]).read_text())
        assert ours.keys() == theirs.keys() and ours["names"] == line["objects"]
        assert len(ours["boxes"]) == len(ours["segms"]) == len(ours["names"])
        with Image.open(small_world / "vcr/vcr1images" / line["img_fn"]) as image:
            assert image.size == (ours["width"], ours["height"]) and image.format == "JPEG"
        for (x1, y1, x2, y2, confidence), polygons in zip(ours["boxes"], ours["segms"], strict=True):
            assert 0 <= x1 < x2 <= ours["width"] and 0 <= y1 < y2 <= ours["height"] and 0 < confidence <= 1
            points = np.array([point for polygon in polygons for point in polygon])
            assert (points >= (x1 - 2, y1 - 2)).all() and (points <= (x2 + 2, y2 + 2)).all()


def test_our_readers_take_everything(small_world, lines):
    for split in lines:
        for number, line in enumerate((small_world / f"vcr/{split}.jsonl").read_text().splitlines(), start=1):
            record = parse_record(line, split, number, labels_required=split != "test")
            path = small_world / "vcr/vcr1images" / json.loads(line)["metadata_fn"]
            assert len(read_objects(path, record).classes) == len(json.loads(line)["objects"])


def test_detections_for_captions_name_coco_pictures(small_world):
    for split in ("train", "val"):
        found = json.loads((small_world / f"vcr/coco_detections_{split}.json").read_text())
        pictures = {path.name for path in (small_world / f"images/{split}2014").iterdir()}
        assert found.keys() == pictures
        for name, fields in found.items():
            assert len(parse_objects(METADATA.convert(fields, name), name).classes) == len(fields["boxes"]) >= 3


def test_people_are_named_in_the_order_of_mention():
    frame = random_frame(np.random.default_rng(1))
    item = next(item for item in questions(frame, 12, np.random.default_rng(0)) if item.kind == "holding")
    told = spoken(Cast(frame), item)
    assert told[0] == "What is Casey holding ?"
    assert sorted(told[1:5]) == [f"Casey is holding the {name} ." for name in sorted(ITEMS)]


def test_metadata_repeats_with_the_seed():
    frame = random_frame(np.random.default_rng(1))
    first, again = (metadata(frame, np.random.default_rng(2)) for _ in range(2))
    assert first == again
