"""Images of every kind that turns up in folders: found, named, read, resized, batched."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.extraction.images import (
    ImageFile,
    Size,
    find_images,
    image_size,
    plan_batches,
    read_image,
    resize,
    resized,
)


def save(path, size=(32, 20), mode="RGB", colour=(200, 100, 50), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, colour)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    image.save(path, **options)
    return path


def test_keys_of_a_folder_are_paths_below_it(tmp_path):
    for name in ("b.png", "sub/a.jpg", "sub/deep/c.webp"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    assert [file.key for file in find_images(str(tmp_path))] == ["b", "sub/a", "sub/deep/c"]
    assert [file.key for file in find_images(str(tmp_path), keys="name")] == ["a", "b", "c"]


def test_lists_and_globs(tmp_path):
    for name in ("x/1.png", "x/2.png", "y/3.png"):
        save(tmp_path / name)
    (tmp_path / "list.txt").write_text("x/2.png\n\ny/3.png\n")
    assert [file.key for file in find_images(str(tmp_path / "list.txt"))] == ["x/2", "y/3"]
    assert [file.key for file in find_images(str(tmp_path / "list.txt"), keys="name")] == ["2", "3"]
    assert [file.key for file in find_images(str(tmp_path / "*" / "*.png"))] == ["x/1", "x/2", "y/3"]
    assert [file.key for file in find_images(str(tmp_path / "x" / "*.png"))] == ["1", "2"]
    assert [file.key for file in find_images(str(tmp_path / "x" / "1.png"))] == ["1"]
    assert [file.key for file in find_images(str(tmp_path / "x"), root=str(tmp_path))] == ["x/1", "x/2"]
    with pytest.raises(InputError, match="not below"):
        find_images(str(tmp_path / "x"), root=str(tmp_path / "y"))


def linked_folders(tmp_path):
    """Two images that are links, in a folder that is one, as caches of hubs, DVC and git-annex keep data."""
    save(tmp_path / "pool" / "5f3c77", format="PNG")
    save(tmp_path / "pool" / "x.jpg")
    images = tmp_path / "images"
    (tmp_path / "store" / "train").mkdir(parents=True)
    (tmp_path / "store" / "train" / "COCO_1.jpg").symlink_to("../../pool/5f3c77")
    (tmp_path / "store" / "train" / "COCO_2.jpg").symlink_to(tmp_path / "pool" / "x.jpg")
    images.mkdir()
    (images / "linked").symlink_to(tmp_path / "store" / "train")
    return images


def test_a_link_has_its_own_name_and_a_linked_folder_is_entered(tmp_path):
    images = linked_folders(tmp_path)
    for source in (images, tmp_path / "images" / "**" / "*.jpg"):
        found = find_images(str(source), root=str(images))
        assert [file.key for file in found] == ["linked/COCO_1", "linked/COCO_2"]
        assert all(read_image(file.path).shape == (20, 32, 3) for file in found)
    (tmp_path / "list.txt").write_text("linked/COCO_2.jpg\n")
    assert [file.key for file in find_images(str(tmp_path / "list.txt"), root=str(images))] == ["linked/COCO_2"]
    (tmp_path / "other_name").symlink_to(images)
    for source in (images / "linked", tmp_path / "other_name" / "linked"):
        for root in (images, tmp_path / "other_name"):
            assert [file.key for file in find_images(str(source), str(root))] == ["linked/COCO_1", "linked/COCO_2"]
    assert [file.key for file in find_images(str(images / "linked" / "COCO_1.jpg"))] == ["COCO_1"]


def test_links_that_lead_back_are_refused_and_dead_ones_are_said(tmp_path):
    images = linked_folders(tmp_path)
    (images / "gone.jpg").symlink_to("../annex/objects/gone")
    assert [file.key for file in find_images(str(images))] == ["gone", "linked/COCO_1", "linked/COCO_2"]
    for read in (read_image, image_size):
        with pytest.raises(
            InputError, match=r"gone\.jpg, a link to \.\./annex/objects/gone, is not there; .*annex get"
        ):
            read(str(images / "gone.jpg"))
    for target in ("..", "../..", "itself"):
        loop = images / "linked" / "itself"
        loop.symlink_to(images / "linked" / target if target == ".." else target)
        if target == "itself":  # no folder, and no image by its name
            assert len(find_images(str(images))) == 3
        else:
            for source in (images, images / "**" / "*.jpg"):
                with pytest.raises(InputError, match="leads back, by a link, to"):
                    find_images(str(source))
        loop.unlink()


def test_a_source_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("empty", "none*.png"):
        with pytest.raises(InputError, match="holds no image"):
            find_images(str(tmp_path / source))
    with pytest.raises(InputError, match="no folder, list or image"):
        find_images(str(tmp_path / "none"))
    (tmp_path / "list.txt").write_text("gone.png\n")
    with pytest.raises(InputError, match=r"lists .*gone\.png"):
        find_images(str(tmp_path / "list.txt"))


def test_two_images_of_one_key_are_refused(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg and .*a\.png would both be 'a'"):
        find_images(str(tmp_path))
    save(tmp_path / "b" / "c.png")
    save(tmp_path / "d" / "c.png")
    with pytest.raises(InputError, match="would both be 'c'"):
        find_images(str(tmp_path / "[bd]" / "*.png"), keys="name")


def test_keys_that_mmf_would_confuse_are_refused_before_extraction(tmp_path):
    save(tmp_path / "7.png")
    save(tmp_path / "cat_7.png")
    with pytest.raises(InputError, match="record '7' for the image 'cat_7'"):
        find_images(str(tmp_path))


@pytest.mark.parametrize("mode,suffix", [("RGB", "png"), ("L", "png"), ("CMYK", "jpg"), ("RGBA", "png"), ("P", "gif")])
def test_modes_become_rgb(tmp_path, mode, suffix):
    path = save(tmp_path / f"a.{suffix}", mode=mode)
    image = read_image(str(path))
    assert image.shape == (20, 32, 3) and image.dtype == np.uint8
    expected = (124, 124, 124) if mode == "L" else (200, 100, 50)
    assert np.abs(image.astype(int) - expected).max() <= 12  # JPEG and palettes are lossy


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    image = read_image(str(tmp_path / "a.png"))
    assert image.shape == (4, 256, 3)
    assert np.array_equal(image[0, :, 0], ramp[0] >> 8) and image.max() == 255


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(str(tmp_path / "a.gif"))[0, 0].argmax() == 0


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_images_are_turned_as_exif_says(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    size = Size(40, 20) if orientation < 5 else Size(20, 40)
    assert image_size(str(tmp_path / "a.jpg")) == size
    assert read_image(str(tmp_path / "a.jpg")).shape[:2] == (size.height, size.width)


def test_broken_images_are_named(tmp_path):
    whole = save(tmp_path / "whole.jpg", size=(300, 300)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    png = save(tmp_path / "whole.png", size=(300, 300)).read_bytes()
    (tmp_path / "cut.png").write_bytes(png[: len(png) // 2])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("cut.jpg", "cut.png", "text.jpg", "empty.png"):
        with pytest.raises(InputError, match=name):
            read_image(str(tmp_path / name))
    assert image_size(str(tmp_path / "cut.jpg")) == Size(300, 300)  # found out only in decoding


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (1, 20_000), (20_000, 1), (20_000, 300), (1, 1)])
def test_extreme_shapes_keep_a_pixel_on_each_side(tmp_path, size):
    path = save(tmp_path / "a.png", size=size)
    assert image_size(str(path)) == Size(*size)
    new = resized(Size(*size), 800, 1333)
    assert min(new) >= 1 and max(new) <= 1333
    for method in ("pillow", "opencv"):
        assert resize(read_image(str(path)), new, method).shape == (3, new.height, new.width)


def test_an_image_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png", size=(100, 100))
    monkeypatch.setattr("mmf_visualbert.features.extraction.images.MOST_PIXELS", 9_999)
    with pytest.raises(InputError, match="more than 9,999 pixels"):
        image_size(str(path))


@pytest.mark.parametrize(
    "size,expected",
    [((640, 480), (1067, 800)), ((480, 640), (800, 1067)), ((1000, 300), (1333, 400)), ((50, 50), (800, 800))],
)
def test_sizes_are_detectron2s(size, expected):
    assert resized(Size(*size), 800, 1333) == expected


def test_pixels_are_blue_first_and_both_methods_agree_on_smooth_images(tmp_path):
    across, down = np.meshgrid(np.linspace(0, 255, 64), np.linspace(0, 255, 48))
    image = np.stack([across, down, np.zeros_like(across)], -1).astype(np.uint8)
    pillow, opencv = (resize(image, Size(96, 72), method) for method in ("pillow", "opencv"))
    assert pillow.dtype == torch.uint8 and opencv.dtype == torch.float32
    assert not pillow[0].any()  # blue
    assert pillow[2, 36, -1] > 250 and pillow[1, -1, 48] > 250
    assert (pillow.float() - opencv).abs().max() < 1.5


def test_batches_hold_images_of_one_size_and_do_not_depend_on_what_is_done():
    files = [ImageFile(str(number), "") for number in range(10)]
    sizes = [Size(8, 8) if number % 3 else Size(8, 6) for number in range(10)]
    plan = plan_batches(files, sizes, 4)
    assert all(len({size for _, size in batch}) == 1 and len(batch) <= 4 for batch in plan)
    assert sorted(file.key for batch in plan for file, _ in batch) == sorted(file.key for file in files)
    assert [len(batch) for batch in plan] == [4, 4, 2]
