"""Questions with answers, phrases with boxes, texts with images: what their samples and metrics are, by hand."""

import json

import pytest
import table_world
import torch

from mmf_visualbert import catalog
from mmf_visualbert.errors import InputError
from mmf_visualbert.features.store import FeatureStore
from mmf_visualbert.modules.boxes import pairwise_iou
from mmf_visualbert.tasks.table.kinds import read_answers, read_boxes


def build(section, split, processors):
    return catalog.get("dataset", "visualbert_table")(section, split, processors)


def masked(processors, small_world):
    masking = catalog.get("processor", "visualbert_masked_lm")(str(small_world / "bert" / "vocab.txt"))
    return {**processors, "masking_processor": masking}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_answers_of_any_number_are_targets(small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "answers")
    rows = lines(tmp_path / "answers_train.jsonl")
    rows[0]["label"], rows[1]["label"] = "yes", ["yes", "no"]
    rows[2]["label"] = [{"answer": "yes"}] * 3 + [{"answer": "no"}] * 7
    table_world.write(tmp_path / "answers_train.jsonl", rows)
    dataset = build(section, "train", processors)
    names = dataset.vocabulary.answers
    found = [{names[i]: round(float(v), 4) for i, v in enumerate(dataset[n]["targets"]) if v} for n in range(3)]
    assert found == [{"yes": 1.0}, {"yes": 0.5, "no": 0.5}, {"yes": 0.9, "no": 1.0}]
    sample, tokenizer = dataset[0], dataset.rows.text.tokenizer
    assert int(sample["input_ids"][sample["answer_position"]]) == tokenizer.mask_id
    scores = torch.zeros(1, len(names))
    scores[0, names.index("no")] = 9.0
    (entry,) = dataset.predictions({"id": torch.tensor([1]), "scores": scores})
    assert entry["id"] == rows[1]["id"] and entry["answer"] == "no" and entry["probability"] > 0.9
    exact = catalog.get("metric", "visualbert_exact_match")()
    share = exact.calculate({"id": torch.arange(4)}, {"answer_accuracy": torch.tensor([0.3, 0.0, 1.0, 0.0])})
    assert float(share) == 0.5
    both = build(section, "train", masked(processors, small_world))[0]
    assert (both["masked_lm_labels"] != -1).any() and both["text_mask"].sum() == sample["text_mask"].sum()


def test_phrases_have_the_regions_that_overlap_their_boxes(small_world, tmp_path, processors):
    dataset = build(table_world.settings(small_world, tmp_path, "phrases"), "train", processors)
    rows = lines(tmp_path / "phrases_train.jsonl")
    store = FeatureStore([small_world / "features/flickr30k/train.lmdb"])
    for index in (0, 1, 2, 5):
        row, sample = rows[index], dataset[index]
        boxes = torch.tensor(store.read(row["image"]).boxes[:36])
        given = [[row["label"]]] if isinstance(row["label"][0], float) else row["label"]
        assert int(sample["phrase_mask"].sum()) == len(given)
        for number, gold in enumerate(given):
            wanted = (pairwise_iou(boxes, torch.tensor(gold)) >= 0.5).any(dim=1)
            assert torch.equal(sample["phrase_targets"][number, : len(boxes)], wanted)
    scores = torch.full((1, 32 * 36), -torch.inf)
    scores[0, 3] = 0.0
    (entry,) = dataset.predictions({"id": torch.tensor([0]), "scores": scores})
    assert entry["phrases"][0]["region"] == 3 and entry["phrases"][0]["box"] == pytest.approx(
        store.read(rows[0]["image"]).boxes[3].tolist()
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [5, 5, 1, 9]}, r"line 1: the box \[5.0, 5.0, 1.0, 9.0\] is inside out"),
        ({"label": "4, 5"}, r"line 1: '4, 5' begins like a json list"),
        ({"label": [1, 2, 3]}, r"line 1: the boxes are \[1, 2, 3\]"),
        ({"text": "[a man"}, r"line 1: a bracket of '\[a man' has no partner"),
        ({"text": "[a] [b]", "label": [[1, 2, 3, 4]]}, r"line 1 marks 2 phrases and has boxes for 1"),
        ({"image": None}, r"line 1 has no image, and phrases are grounded in one"),
    ],
)
def test_faulty_phrases_are_named(change, message, small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "phrases")
    rows = lines(tmp_path / "phrases_train.jsonl")
    rows[0] |= change
    table_world.write(tmp_path / "phrases_train.jsonl", rows)
    with pytest.raises(InputError, match=message):
        build(section, "train", processors)


def test_a_box_may_be_given_by_its_size(small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "phrases")
    corners = build(section, "train", processors)[0]["phrase_targets"]
    rows = lines(tmp_path / "phrases_train.jsonl")
    x, y, right, bottom = rows[0]["label"]
    rows = [{**rows[0], "label": [x, y, right - x, bottom - y]}]
    table_world.write(tmp_path / "phrases_train.jsonl", rows)
    sizes = build({**section, "box_form": "sizes"}, "train", processors)[0]["phrase_targets"]
    assert torch.equal(corners, sizes) and corners.any()


def test_texts_are_shown_with_their_image_or_another_and_ranked_with_all(small_world, tmp_path, processors):
    section = table_world.settings(small_world, tmp_path, "retrieval")
    train = build(section, "train", processors)
    labels = [int(train[n]["sentence_image_labels"]) for n in range(len(train)) for _ in range(4)]
    assert 0.3 < sum(labels) / len(labels) < 0.7
    val = build({**section, "pool": 10}, "val", processors)
    images = val.keys
    assert len(val) == sum(len(images[s : s + 10]) * len(set(images[s : s + 10])) for s in range(0, len(images), 10))
    samples = [val[n] for n in range(len(val))]
    for sample in samples[::7]:
        couple = val.couple(int(sample["id"]))
        assert (couple.text, couple.image) == (int(sample["text_index"]), int(sample["image_index"]))
        assert int(sample["targets"]) == (images[couple.text] == images[couple.image])
    assert {int(sample["text_index"]) for sample in samples} == set(range(len(images)))
    ranked = {(int(sample["image_index"]), int(sample["text_index"]) // 10) for sample in samples}
    in_pools = {(images[row], row // 10) for row in range(len(images))}
    assert len({image for image, _ in ranked}) == len(ranked) == len(in_pools) > len(set(images)), "one pool a query"
    both = build(section, "train", masked(processors, small_world))[0]
    assert {"masked_lm_labels", "sentence_image_labels"} <= both.keys()


def test_recall_of_pairs_is_that_of_sorted_lists():
    torch.manual_seed(2)
    texts, images = 12, 5
    text_index = torch.arange(texts).repeat_interleave(images)
    image_index = torch.arange(images).repeat(texts)
    targets = (text_index % images == image_index).long()
    scores, order = torch.randn(texts * images, 2), torch.randperm(texts * images)
    sample = {"id": torch.arange(texts * images), "targets": targets}
    sample |= {"text_index": text_index, "image_index": image_index}
    shuffled = {name: value[order] for name, value in sample.items()}
    shown = {"scores": scores[order]}
    margin = (scores[:, 1] - scores[:, 0]).view(texts, images)
    for k in (1, 5, 10):
        ranked = [margin[text].argsort(descending=True)[:k].tolist() for text in range(texts)]
        by_hand = sum(text % images in ranked[text] for text in range(texts)) / texts
        value = catalog.get("metric", f"visualbert_image_recall_at_{k}")().calculate(
            shuffled, {"scores": scores[order]}
        )
        assert float(value) == pytest.approx(by_hand)
        ranked = [margin[:, image].argsort(descending=True)[:k].tolist() for image in range(images)]
        by_hand = sum(any(text % images == image for text in ranked[image]) for image in range(images)) / images
        value = catalog.get("metric", f"visualbert_text_recall_at_{k}")().calculate(shuffled, shown)
        assert float(value) == pytest.approx(by_hand)


def test_images_without_features_are_refused_or_read_as_texts(small_world, tmp_path, processors, caplog):
    section = table_world.settings(small_world, tmp_path, "classification")
    rows = lines(tmp_path / "classification_train.jsonl")
    rows[2]["image"] = "nobody.jpg"
    rows[3]["image"] = None
    table_world.write(tmp_path / "classification_train.jsonl", rows)
    with pytest.raises(InputError, match="line 3 has no region features: 'nobody'"):
        build(section, "train", processors)
    dataset = build({**section, "missing_regions": "text_only"}, "train", processors)
    assert "1 rows are read as texts alone, as 1 images have no features, 'nobody' among them" in caplog.text
    assert [int(dataset[n]["region_mask"].any()) for n in range(4)] == [1, 1, 0, 0]
    assert {dataset[n]["region_features"].shape for n in range(4)} == {(36, 128)}


def test_predictions_have_the_columns_of_a_leaderboard(small_world, tmp_path, processors):
    section = {**table_world.settings(small_world, tmp_path, "binary"), "predictions": {"id": "img", "score": "proba"}}
    dataset = build(section, "val", processors)
    (entry,) = dataset.predictions({"id": torch.tensor([0]), "scores": torch.tensor([[0.0, 0.0]])})
    assert entry == {"img": dataset.dataset.rows.id_of(0), "proba": 0.5}
    wrong = build({**section, "predictions": {"id": "id", "answer": "a"}}, "val", processors)
    with pytest.raises(InputError, match="wants the column 'answer', and this kind has id, label, probability, score"):
        wrong.predictions({"id": torch.tensor([0]), "scores": torch.tensor([[0.0, 0.0]])})


def test_cells_of_answers_and_boxes():
    assert read_answers("two | 2", "row") == ["two", "2"] and read_answers(3, "row") == ["3"]
    assert read_answers('["a", "b"]', "row") == ["a", "b"] and read_answers(True, "row") == ["true"]
    assert read_answers("", "row") is None and read_boxes(None, "row") is None
    assert read_boxes([1, 2, 3, 4], "row") == [[[1, 2, 3, 4]]]
    assert read_boxes("[[1, 2, 3, 4], [[5, 6, 7, 8]]]", "row") == [[[1, 2, 3, 4]], [[5, 6, 7, 8]]]
    with pytest.raises(InputError, match=r"row: the answers are \['', 'a'\]"):
        read_answers(["", "a"], "row")
