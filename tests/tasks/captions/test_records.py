"""Captions are read from the files of COCO, Karpathy and MMF, and from JSON lines."""

import numpy as np
import pytest
from caption_files import coco, karpathy, write_json, write_lines

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.captions.records import (
    CaptionedImage,
    choose_parts,
    key_of,
    read_caption_imdb,
    read_caption_lines,
    read_captions,
    read_coco,
)

# Readers


def test_keys_are_file_names_without_extension():
    assert key_of("COCO_train2014_000000000009.jpg") == "COCO_train2014_000000000009"
    assert key_of("shard/a.b.PNG") == "shard/a.b"
    assert key_of("v1.5") == "v1.5" and key_of(17) == "17"


def test_reads_coco(tmp_path):
    path = write_json(tmp_path / "captions.json", coco([7, 3]))
    assert read_captions([path]) == [
        CaptionedImage(7, "COCO_val2014_000000000007", ("w7x0", "w7x1"), path),
        CaptionedImage(3, "COCO_val2014_000000000003", ("w3x0", "w3x1"), path),
    ]


def test_reads_real_captions(shared):
    images = read_captions([shared / "realdata" / "coco_captions" / "captions_train2017.json"])
    assert len(images) == 80 and sum(len(image.captions) for image in images) == 400
    first = images[0]
    assert (first.image_id, first.key) == (493652, "000000493652")
    assert first.captions[0] == "Living room decorated for Christmas with gifts galore"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["images"].append(dict(c["images"][0])), "lists the image 7 twice"),
        (lambda c: c["annotations"][1].update(image_id=99), "caption 101 is of the image 99, which `images` does not"),
        (lambda c: c["annotations"][1].update(id=100), "has the caption 100 twice"),
        (lambda c: c["annotations"][2].update(caption=" \n"), r"the caption 102: a caption is ' \\n'"),
        (lambda c: c["annotations"][2].pop("caption"), r"annotations\[2\] \(102\) has no 'caption'"),
        (lambda c: c["images"][1].pop("file_name"), r"images\[1\] \(3\) has no 'file_name'"),
        (lambda c: c["annotations"][0].pop("image_id"), r"annotations\[0\] \(100\) has no 'image_id'"),
        (lambda c: c.pop("annotations"), "is not COCO's captions"),
    ],
)
def test_faults_of_coco_name_file_and_record(tmp_path, change, message):
    content = coco([7, 3])
    change(content)
    path = write_json(tmp_path / "captions.json", content)
    with pytest.raises(InputError, match=message) as error:
        read_coco(path)
    assert str(path) in str(error.value)


def test_the_same_image_in_two_files_is_refused(tmp_path):
    one, two = (write_json(tmp_path / name, coco([7], first_caption=n)) for n, name in enumerate(["a.json", "b.json"]))
    with pytest.raises(InputError, match=r"the image 7 of .*b\.json stands there a second time, .* of .*a\.json"):
        read_captions([one, two])


def test_reads_json_lines_with_any_number_of_captions(tmp_path):
    records = [{"image": "cc/0001.jpg", "captions": ["w0x0"]}, {"image_id": 5, "captions": ["w1x0", "w1x1"]}]
    path = write_lines(tmp_path / "corpus.jsonl", records)
    assert read_captions([path]) == [
        CaptionedImage("cc/0001.jpg", "cc/0001", ("w0x0",), path),
        CaptionedImage(5, "5", ("w1x0", "w1x1"), path),
    ]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"image": "b.jpg", "captions": []}, "line 2: the image has no captions"),
        ({"image": "b.jpg"}, "line 2: the image has no captions"),
        ({"image": "b.jpg", "captions": "w0x0"}, r'line 2 \(b.jpg\): captions is "w0x0", and a list'),
        ({"image": "b.jpg", "captions": ["w0x0", ""]}, "line 2: a caption is ''"),
        ({"captions": ["w0x0"]}, "line 2 has no 'image_id'"),
        ({"image": ["b.jpg"], "captions": ["w0x0"]}, r'line 2: image is \["b.jpg"\], and a whole number or text'),
    ],
)
def test_faults_of_json_lines(tmp_path, record, message):
    path = write_lines(tmp_path / "corpus.jsonl", [{"image": "a.jpg", "captions": ["w0x0"]}, record])
    with pytest.raises(InputError, match=message):
        read_caption_lines(path)


def test_a_repeated_image_in_json_lines_is_refused(tmp_path):
    path = write_lines(tmp_path / "corpus.jsonl", [{"image": "a.jpg", "captions": ["w0x0"]}] * 2)
    with pytest.raises(InputError, match=r"the image a\.jpg of .* stands there a second time"):
        read_captions([path])


def test_a_file_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"captions\.json has no captioned image"):
        read_captions([write_json(tmp_path / "captions.json", {"images": [], "annotations": []})])


def save_imdb(path, records):
    array = np.empty(len(records), dtype=object)
    array[:] = records
    np.save(path, array, allow_pickle=True)
    return path


def test_reads_imdbs_by_image_and_by_caption(tmp_path):
    by_image = save_imdb(
        tmp_path / "by_image.npy",
        [
            {"image_id": 9, "feature_path": "COCO_train2014_000000000009.npy", "captions": ["w0x0", "w0x1"]},
            {"image_id": 25, "image_name": "COCO_train2014_000000000025", "captions": ["w1x0"]},
        ],
    )
    images = read_captions([by_image])
    assert [(i.image_id, i.key, i.captions) for i in images] == [
        (9, "COCO_train2014_000000000009", ("w0x0", "w0x1")),
        (25, "COCO_train2014_000000000025", ("w1x0",)),
    ]
    by_caption = save_imdb(
        tmp_path / "by_caption.npy",
        [
            {"version": 1},
            {"image_id": 9, "image_path": "COCO_train2014_000000000009.jpg", "caption_str": "w0x0"},
            {"image_id": 9, "image_path": "COCO_train2014_000000000009.jpg", "caption_tokens": ["w0x1", "w0x2"]},
        ],
    )
    assert read_captions([by_caption])[0].captions == ("w0x0", "w0x1 w0x2")


def test_faults_of_imdbs(tmp_path):
    twice = [{"image_id": 9, "image_name": "a", "captions": ["w0x0"]}] * 2
    with pytest.raises(InputError, match="record 1: the image 9 stands there a second time"):
        read_caption_imdb(save_imdb(tmp_path / "twice.npy", twice))
    with pytest.raises(InputError, match="record 0: a caption is ''"):
        read_caption_imdb(save_imdb(tmp_path / "none.npy", [{"image_id": 9, "image_name": "a"}]))
    with pytest.raises(InputError, match="record 1 has no 'image_id'"):
        read_caption_imdb(save_imdb(tmp_path / "id.npy", [twice[0], {"image_name": "b", "captions": ["w0x0"]}]))


# Karpathy's split


def test_a_split_file_chooses_images_by_part(tmp_path):
    images = read_captions([write_json(tmp_path / "captions.json", coco([1, 2, 3, 4, 5]))])
    path = write_json(
        tmp_path / "dataset_coco.json", karpathy({1: "train", 2: "val", 3: "restval", 4: "test", 5: "train"})
    )
    chosen = {
        parts: [image.image_id for image in choose_parts(images, path, parts)]
        for parts in [("train", "restval"), ("train",), ("val",), ("test",)]
    }
    assert chosen == {("train", "restval"): [1, 3, 5], ("train",): [1, 5], ("val",): [2], ("test",): [4]}


def test_reads_the_real_split_record(shared, tmp_path):
    path = shared / "realdata" / "coco_captions" / "karpathy" / "dataset_coco.one_record.json"
    images = read_captions([write_json(tmp_path / "captions.json", coco([391895, 42]))])
    assert [image.key for image in choose_parts(images, path, ["test"])] == ["COCO_val2014_000000391895"]


def test_faults_of_split_files(tmp_path):
    images = read_captions([write_json(tmp_path / "captions.json", coco([1, 2]))])
    path = write_json(tmp_path / "dataset_coco.json", karpathy({1: "train", 2: "val", 3: "train", 8: "train"}))
    with pytest.raises(InputError, match="puts the image 3 and 1 more into train, but no file of `annotations`"):
        choose_parts(images, path, ["train"])
    with pytest.raises(InputError, match="has no part 'restval', only train, val"):
        choose_parts(images, path, ["train", "restval"])
    with pytest.raises(InputError, match="has no 'images'; name Karpathy's"):
        choose_parts(images, write_json(tmp_path / "other.json", {"annotations": []}), ["train"])
    twice = karpathy({1: "train"})
    twice["images"] *= 2
    with pytest.raises(InputError, match="lists the image 1 twice"):
        choose_parts(images, write_json(tmp_path / "twice.json", twice), ["train"])
