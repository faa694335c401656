"""Frames in their canvas: scale, padding, normalisation, and frames that cannot be used."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmf_visualbert.errors import InputError
from mmf_visualbert.tasks.vcr.frames import IMAGENET_MEAN, IMAGENET_STD, frame_tensor, load_frame, place


def normalised(value: float) -> torch.Tensor:
    return torch.tensor([(value - mean) / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)])


def test_scale_and_centre():
    # 1920 x 800: the width decides, 768 / 1920 = 0.4; 320 rows are used, 64 are free.
    wide = place((1920, 800), (768, 384), random_offset=False)
    assert wide == (0.4, 0, 32, 768, 320) and wide.window == (0, 32, 768, 352)
    # 1000 x 1000: the height decides.
    square = place((1000, 1000), (768, 384), random_offset=False)
    assert square == (0.384, 192, 0, 384, 384)
    boxes = np.array([[0.0, 0.0, 1920.0, 800.0], [100.0, 50.0, 200.0, 150.0]])
    np.testing.assert_allclose(wide.boxes(boxes), [[0, 32, 768, 352], [40, 52, 80, 92]])


def test_random_offset_stays_within_the_canvas():
    tops = {place((1920, 800), (768, 384), random_offset=True).top for _ in range(200)}
    assert min(tops) >= 0 and max(tops) <= 64 and len(tops) > 20


def test_padding_is_black_before_it_is_normalised():
    image = Image.new("RGB", (40, 10), (255, 255, 255))
    tensor = frame_tensor(image, place(image.size, (20, 9), False), (20, 9))
    assert tensor.shape == (3, 9, 20) and tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[:, 0, 0], normalised(0.0))
    torch.testing.assert_close(tensor[:, 1, 0], normalised(0.0))
    torch.testing.assert_close(tensor[:, 4, 10], normalised(1.0))
    assert (tensor[0, :, 10] > 0).sum() == 5


def test_an_image_of_the_right_size_is_left_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    tensor = frame_tensor(Image.fromarray(pixels), place((6, 4), (6, 4), False), (6, 4))
    back = tensor * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
    np.testing.assert_allclose(back.permute(1, 2, 0).numpy() * 255, pixels, atol=1e-3)


def test_frames_that_cannot_be_used(tmp_path):
    where = "train.jsonl:3 (train-2)"
    with pytest.raises(InputError, match=r"train.jsonl:3 \(train-2\).*missing"):
        load_frame(tmp_path / "none.jpg", where)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with pytest.raises(InputError, match=r"train.jsonl:3 \(train-2\).*cut.jpg cannot be decoded"):
        load_frame(tmp_path / "cut.jpg", where)
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(InputError, match="cannot be decoded"):
        load_frame(tmp_path / "text.jpg", where)
    noise.convert("L").save(tmp_path / "grey.png")
    with pytest.raises(InputError, match=r"train.jsonl:3 \(train-2\).*is L, not RGB"):
        load_frame(tmp_path / "grey.png", where)
    assert load_frame(tmp_path / "grey.png", where, greyscale=True).mode == "RGB"
    noise.convert("RGBA").save(tmp_path / "alpha.png")
    with pytest.raises(InputError, match="is RGBA, not RGB"):
        load_frame(tmp_path / "alpha.png", where, greyscale=True)
    with pytest.raises(InputError, match="measures 64x64 pixels, but its metadata says 64x32"):
        load_frame(tmp_path / "whole.jpg", where, size=(64, 32))
