"""VCR's samples: shapes, regions, alignment, labels and predictions in every mode."""

import json
import pickle

import numpy as np
import pytest
import torch
import vcr_world
from PIL import Image

from mmf_visualbert.contracts import RegionQuery
from mmf_visualbert.errors import InputError
from mmf_visualbert.processors.masking import MaskedLanguageModeling
from mmf_visualbert.tasks.vcr.dataset import build_vcr
from mmf_visualbert.tasks.vcr.regions import DetectedRegions


@pytest.fixture
def world(tmp_path):
    return vcr_world.write_world(tmp_path)


def build(world, split="val", masking=False, **changes):
    processors = {"text_processor": vcr_world.assembler()}
    if masking:
        processors["masking_processor"] = MaskedLanguageModeling(vcr_world.tokenizer())
    return build_vcr(vcr_world.config(world, **changes), split, processors)


def words(ids) -> str:
    read = vcr_world.tokenizer()
    return " ".join(read.token(index) for index in ids.tolist() if index != read.pad_id)


def test_answer_samples(world):
    dataset = build(world)
    assert len(dataset) == 3 and dataset.split_facts.regions == 4 and dataset.split_facts.labelled
    samples = [dataset[index] for index in range(3)]
    shapes = {name: tuple(value.shape) for name, value in samples[0].items()}
    assert all({name: tuple(value.shape) for name, value in sample.items()} == shapes for sample in samples)
    assert shapes == {
        "id": (),
        "targets": (),
        "input_ids": (4, 40),
        "text_mask": (4, 40),
        "text_segments": (4, 40),
        "alignment": (4, 4, dataset.split_facts.aligned),
        "image": (3, 48, 96),
        "region_pixel_boxes": (4, 4),
        "region_masks": (4, 14, 14),
        "region_classes": (4,),
        "region_mask": (4,),
        "region_segments": (4,),
    }
    assert [sample["targets"].item() for sample in samples] == [0, 2, 3]
    assert [sample["region_mask"].sum().item() for sample in samples] == [4, 4, 3]
    assert samples[0]["region_classes"].tolist() == [0, 1, 1, 68]
    assert samples[1]["region_classes"].tolist() == [0, 1, 17, 1]
    assert samples[2]["region_classes"].tolist() == [0, 1, 1, 0]


def test_texts_and_their_own_alignments(world):
    sample = build(world)[0]
    assert (
        words(sample["input_ids"][0]) == "[CLS] what does casey h ##o ##l ##d ? [SEP] casey holds cell ##phone . [SEP]"
    )
    assert words(sample["input_ids"][2]).endswith("[SEP] ri ##ley casey likes casey . [SEP]")
    aligned = [[[p for p in region if p >= 0] for region in choice] for choice in sample["alignment"].tolist()]
    # whole image, person 0 (riley), person 1 (casey), cellphone
    assert aligned[0] == [[], [], [3, 10], [12, 13]]
    assert aligned[1] == [[], [], [3], []]
    assert aligned[2] == [[], [10, 11], [3, 12, 14], []]
    assert (sample["alignment"][:, 0] == -1).all()


def test_rationales_follow_question_and_right_answer(world):
    sample = build(world, mode="rationale")[0]
    assert words(sample["input_ids"][3]) == (
        "[CLS] what does casey h ##o ##l ##d ? casey holds cell ##phone . [SEP] because cell ##phone is near . [SEP]"
    )
    assert sample["targets"].item() == 3
    aligned = sample["alignment"][3].tolist()
    assert [p for p in aligned[2] if p >= 0] == [3, 9] and [p for p in aligned[3] if p >= 0] == [11, 12, 16, 17]


def test_boxes_and_masks_of_the_frame(world):
    sample = build(world)[0]
    # Frame a, 100 x 40, in a canvas of 96 x 48: scale 0.96, 38 rows, 5 free above.
    expected = torch.tensor(
        [[0, 5, 96, 43], [4.8, 8.84, 43.2, 41.48], [48, 6.92, 91.2, 42.44], [57.6, 24.2, 67.2, 33.8]]
    )
    torch.testing.assert_close(sample["region_pixel_boxes"], expected)
    assert (sample["region_masks"][0] == 1).all()
    # Every polygon is the upper right triangle of its box: a point counts where its column is past its row.
    row, column = torch.meshgrid(torch.arange(14), torch.arange(14), indexing="ij")
    off_diagonal = row != column
    assert ((sample["region_masks"][1] == 1) == (column > row))[off_diagonal].all()


def test_training_moves_the_frame_and_validation_does_not(world):
    tops = {build(world, "train")[0]["region_pixel_boxes"][0, 1].item() for _ in range(12)}
    assert len(tops) > 2
    still = build(world, "train", random_offset=False)
    assert all(torch.equal(still[0]["image"], build(world)[0]["image"]) for _ in range(3))


def test_pretraining_on_all_eight_sequences(world):
    dataset = build(world, "train", masking=True, mode="both")
    sample = dataset[0]
    assert len(dataset) == 3 and sample["input_ids"].shape == (8, 40) and sample["alignment"].shape[:2] == (8, 4)
    assert sample["sentence_image_labels"].tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert torch.equal(sample["targets"], sample["sentence_image_labels"])
    masked = sample["masked_lm_labels"]
    assert (masked != -1).any(dim=1).all()
    assert ((masked != -1) <= sample["text_mask"]).all()
    whole = torch.where(masked != -1, masked, sample["input_ids"])
    assert words(whole[4]).endswith("[SEP] casey is happy . [SEP]") and "holds cell ##phone" in words(whole[4])


def test_every_sequence_is_seen_where_a_sample_holds_fewer(world):
    together = build(world, "val", masking=True, mode="both")
    one_by_one = build(world, "val", masking=True, mode="both", sequences_per_sample=1)
    assert len(one_by_one) == 24

    def originals(dataset):
        samples = [dataset[index] for index in range(len(dataset))]
        pairs = [(s["input_ids"], s["masked_lm_labels"], s["sentence_image_labels"], s["alignment"]) for s in samples]
        ids, labels, right, alignment = (torch.cat([pair[part] for pair in pairs]) for part in range(4))
        return torch.where(labels != -1, labels, ids), right, alignment

    for ours, theirs in zip(originals(together), originals(one_by_one), strict=True):
        assert torch.equal(ours, theirs)


def test_masks_repeat_in_validation_alone(world):
    val, train = build(world, masking=True), build(world, "train", masking=True)
    assert torch.equal(val[1]["masked_lm_labels"], val[1]["masked_lm_labels"])
    assert any(not torch.equal(train[1]["masked_lm_labels"], train[1]["masked_lm_labels"]) for _ in range(5))
    assert val[0]["sentence_image_labels"].tolist() == [1, 0, 0, 0]


def test_unlabelled_test_split(world):
    answers, rationales = build(world, "test"), build(world, "test", mode="rationale")
    assert "targets" not in answers[0]
    sample = rationales[0]
    assert (
        "targets" not in sample and sample["input_ids"].shape == (16, 40) and sample["alignment"].shape[:2] == (16, 4)
    )
    assert words(sample["input_ids"][5]) == (
        "[CLS] what does casey h ##o ##l ##d ? a car . [SEP] ri ##ley likes casey . [SEP]"
    )
    pretraining = build(world, "test", masking=True, mode="both", sequences_per_sample=8)
    assert "sentence_image_labels" not in pretraining[0] and pretraining[0]["targets"].shape == (20, 40)


@pytest.mark.parametrize("setting", [2, "2"])
def test_one_given_answer(world, setting):
    dataset = build(world, "test", mode="rationale", answer_label={"test": setting})
    assert dataset[0]["input_ids"].shape == (4, 40)
    assert "? ri ##ley casey likes casey . [SEP]" in words(dataset[0]["input_ids"][0])
    (entry,) = dataset.predictions({"id": torch.tensor([1]), "scores": torch.zeros(1, 4)})
    assert entry == {"annot_id": "test-1", **{f"rationale_conditioned_on_a2_{choice}": 0.25 for choice in range(4)}}


def test_answers_predicted_before(world):
    answers = build(world, "test")
    scores = torch.tensor([[0.0, 1, 5, 0], [9, 0, 0, 0], [0, 0, 0, 2]])
    entries = answers.predictions({"id": torch.arange(3), "scores": scores})
    (world / "predicted.json").write_text(json.dumps(entries))
    dataset = build(world, "test", mode="rationale", answer_label={"test": "predicted.json"})
    assert "? ri ##ley casey likes casey . [SEP]" in words(dataset[0]["input_ids"][0])
    assert "happy ? yes , dog is . [SEP]" in words(dataset[1]["input_ids"][0])
    (world / "few.json").write_text(json.dumps(entries[:1]))
    with pytest.raises(InputError, match=r"test.jsonl:2 \(test-1\).*no answer"):
        build(world, "test", mode="rationale", answer_label={"test": "few.json"})[1]
    with pytest.raises(InputError, match="answer_label"):
        build(world, "test", mode="rationale", answer_label={"test": 4})
    with pytest.raises(InputError, match="right answer"):
        build(world, "train", mode="rationale", answer_label={"train": 1})


def test_predictions_are_probabilities_of_each_four(world):
    (entry,) = build(world).predictions({"id": torch.tensor([2]), "scores": torch.tensor([[1.0, 2.0, 3.0, 4.0]])})
    assert list(entry) == ["annot_id", "answer_0", "answer_1", "answer_2", "answer_3"]
    assert entry["annot_id"] == "val-2" and sum(list(entry.values())[1:]) == pytest.approx(1)
    dataset = build(world, mode="rationale", answer_label={"val": "all"})
    (entry,) = dataset.predictions({"id": torch.tensor([0]), "scores": torch.randn(1, 16)})
    assert list(entry)[1:6] == [
        *(f"rationale_conditioned_on_a0_{c}" for c in range(4)),
        "rationale_conditioned_on_a1_0",
    ]
    assert sum(list(entry.values())[5:9]) == pytest.approx(1)
    assert "targets" not in dataset[0]


def test_samples_are_the_same_in_a_worker(world):
    dataset = build(world)
    again = pickle.loads(pickle.dumps(dataset))
    assert all(torch.equal(value, again[1][name]) for name, value in dataset[1].items())
    loader = torch.utils.data.DataLoader(dataset, batch_size=3, num_workers=1)
    assert next(iter(loader))["alignment"].shape[:3] == (3, 4, 4)


@pytest.mark.parametrize("mode", ["answer", "rationale"])
def test_object_names_with_spaces_change_nothing(world, mode):
    before = build(world, mode=mode)[0]
    for path in (world / "vcr").rglob("*.json*"):
        path.write_text(path.read_text().replace("cellphone", "cell phone"))
    after = build(world, mode=mode)[0]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mode": "both"}, "masking_processor"),
        ({"mode": "qa"}, "mode is 'qa'"),
        ({"max_regions": 3}, "4 regions, but max_regions is 3"),
        ({"sequences_per_sample": 2}, "sequences_per_sample"),
        ({"names": "own"}, "names is 'own'"),
    ],
)
def test_settings_that_cannot_be(world, changes, says):
    with pytest.raises(InputError, match=says):
        build(world, **changes)


def test_faults_of_files_come_up_when_the_dataset_is_built(world):
    images = world / "vcr/vcr1images/m"
    (images / "b.png").rename(images / "c.png")
    with pytest.raises(InputError, match=r"val.jsonl:2 \(val-1\): the frame .*b.png is missing"):
        build(world)
    (images / "c.png").rename(images / "b.png")
    fields = vcr_world.metadata("b")
    (images / "b.json").write_text(json.dumps({**fields, "segms": fields["segms"][:2]}))
    with pytest.raises(InputError, match=r"val.jsonl:2 \(val-1\).*3 boxes, 2 segms"):
        build(world)
    with pytest.raises(InputError, match=r"val.jsonl:2 \(val-1\).*3 boxes, 2 segms"):
        build(world, check_metadata=False)[1]


def test_twice_the_same_id_and_half_the_labels(world):
    vcr_world.write_lines(world / "vcr/val.jsonl", [vcr_world.record(), vcr_world.record()])
    with pytest.raises(InputError, match=r"val.jsonl:2 \(train-0\) stands .* twice"):
        build(world)
    unlabelled = vcr_world.record(annot_id="test-1", answer_label=None)
    vcr_world.write_lines(world / "vcr/test.jsonl", [vcr_world.record(), unlabelled])
    with pytest.raises(InputError, match=r"test.jsonl:2 \(test-1\) has no labels, but other records have"):
        build(world, "test")


def detections(tmp_path, **entries):
    (tmp_path / "images").mkdir()
    for name, mode in (("COCO_a.png", "RGB"), ("COCO_b.png", "L")):
        fields = vcr_world.metadata("a")
        shape = (fields["height"], fields["width"], 3)[: 3 if mode == "RGB" else 2]
        Image.fromarray(np.full(shape, 128, dtype=np.uint8)).save(tmp_path / "images" / name)
    (tmp_path / "detections.json").write_text(json.dumps(entries))
    return DetectedRegions([tmp_path / "detections.json"], [tmp_path / "images"], canvas=(96, 48))


def test_detections_for_captions(tmp_path):
    source = detections(tmp_path, **{"COCO_a.png": vcr_world.metadata("a"), "COCO_b.png": None})
    assert source.max_regions == 5
    source.check([RegionQuery("COCO_a", "caption 1"), RegionQuery("COCO_b", "caption 2")])
    full, empty = (source.tensors(RegionQuery(key, key)) for key in ("COCO_a", "COCO_b"))
    assert full["region_mask"].sum() == 5 and full["region_classes"].tolist() == [0, 1, 1, 68, 3]
    assert full["image"].shape == empty["image"].shape == (3, 48, 96)
    assert empty["region_mask"].tolist() == [True, False, False, False, False]
    assert empty["region_pixel_boxes"][0].tolist() == [0, 5, 96, 43]
    with pytest.raises(InputError, match=r"caption 3: .* no entry for 'COCO_c'"):
        source.check([RegionQuery("COCO_c", "caption 3")])


def test_faulty_detections(tmp_path):
    fields = vcr_world.metadata("a")
    with pytest.raises(InputError, match=r"the image COCO_a.png has 4 boxes, 3 segms"):
        detections(tmp_path, **{"COCO_a.png": {**fields, "segms": fields["segms"][:3]}})
    (tmp_path / "detections.json").write_text(json.dumps({"COCO_c.png": fields}))
    files = [tmp_path / "detections.json"], [tmp_path / "images"]
    with pytest.raises(InputError, match=r"caption 1: the image COCO_c.png is missing"):
        DetectedRegions(*files).check([RegionQuery("COCO_c", "caption 1")])
    with pytest.raises(InputError, match="5 regions with the whole image, but max_regions is 2"):
        DetectedRegions(*files, max_regions=2)


def test_questions_about_missing_frames_are_refused_or_left_out(world, caplog):
    gone = build(world).annotations[1]
    next(world.rglob(gone.frame)).unlink()
    with pytest.raises(InputError, match=r"the frame .* is missing; .* or go on without such images: missing_regions:"):
        build(world)
    dataset = build(world, missing_regions="leave_out")
    assert f"2 of 3 questions of VCR's val are left out, as they have no regions: {gone.where}" in caplog.text
    assert gone.annot_id not in [record.annot_id for record in dataset.annotations]
    assert [dataset[index]["targets"].item() for index in range(len(dataset))] == [0]
    with pytest.raises(InputError, match="missing_regions is 'text_only'; set it to one of refuse, leave_out"):
        build(world, missing_regions="text_only")
