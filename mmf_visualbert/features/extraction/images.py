"""Images to extract features from: found, named, read and resized."""

import os
from collections.abc import Iterable
from glob import glob
from glob import has_magic as has_glob
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from mmf_visualbert.errors import InputError
from mmf_visualbert.features.records import check_key, check_keys
from mmf_visualbert.files import files_below, read_lines

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
MOST_PIXELS = 500_000_000  # 1.5 GB decoded; more is taken for an attack or a mistake
_ORIENTATION = 0x0112  # the EXIF tag; values from 5 on turn the image by a quarter
_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I;16N", "I")


class ImageFile(NamedTuple):
    """One image: its key in the store, and where it is."""

    key: str
    path: str


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


def find_images(source: str, root: str | None = None, keys: str = "path") -> list[ImageFile]:
    """The images of a folder (with all below it), of a list file (`.txt`, a path a line) or of a glob.

    Names count as they are given: an image that is a link has the link's name, and a linked folder is entered.

    Args:
        source: folder, list or glob.
        root: where keys begin, and what paths of a list are relative to; the folder itself, the list's folder, or the
            part of the glob before its first wildcard where it is not given.
        keys: `path` names an image by its path below the root without extension, `name` by its file name alone.

    Raises:
        InputError: where there is no image, a linked folder leads back to one that it is in, two images have the same
            key, or MMF's reader would confuse two keys.
    """
    base, paths = _paths(source, root)
    if not paths:
        kinds = ", ".join(EXTENSIONS)
        raise InputError(f"{source} holds no image ({kinds}); give the folder of the images, a list or a glob")
    found: dict[str, ImageFile] = {}
    for path in sorted(paths):
        key = _key(path, base, keys)
        check_key(key)
        if key in found:
            other = ", or name images by their path (--keys path)" if keys == "name" else ""
            raise InputError(
                f"the images {found[key].path} and {path} would both be '{key}' in the store; rename or remove one of "
                f"them{other}"
            )
        found[key] = ImageFile(key, str(path))
    check_keys(found)
    return [found[key] for key in sorted(found)]


def _paths(source: str, root: str | None) -> tuple[Path, list[Path]]:
    given = None if root is None else Path(root)
    if Path(source).is_dir():
        base = given or Path(source)
        return base, [path for path in files_below(source) if path.suffix.lower() in EXTENSIONS]
    if has_glob(source):
        prefix = Path(*[part for part in Path(source).parts[: _first_wildcard(source)]])
        return given or prefix, [path for path in _matches(source) if path.suffix.lower() in EXTENSIONS]
    if not Path(source).is_file():
        raise InputError(f"there is no folder, list or image {source}; correct the path")
    if Path(source).suffix.lower() in EXTENSIONS:
        return given or Path(source).parent, [Path(source)]
    base = given or Path(source).parent
    listed = [base / line.strip() for line in read_lines(source) if line.strip()]
    missing = [path for path in listed if not path.is_file()]
    if missing:
        raise InputError(f"{source} lists {missing[0]}, which is not there; correct the list, or give --root")
    return base, list(dict.fromkeys(listed))


def _matches(pattern: str) -> list[Path]:
    """The files that a glob names. What `**` stands for is walked first, because glob follows a link that leads back to
    its own folder over and over, until the system refuses the name.
    """
    parts = Path(pattern).parts
    if "**" in parts:
        for folder in glob(str(Path(*parts[: parts.index("**")]))):
            for _ in files_below(folder) if os.path.isdir(folder) else ():
                pass
    return [path for path in map(Path, glob(pattern, recursive=True)) if path.is_file() or path.is_symlink()]


def _first_wildcard(pattern: str) -> int:
    return next(place for place, part in enumerate(Path(pattern).parts) if has_glob(part))


def _key(path: Path, base: Path, keys: str) -> str:
    if keys == "name":
        return path.stem
    absolute, folder = (Path(os.path.abspath(name)) for name in (path, base))
    if absolute.is_relative_to(folder):
        return str(absolute.relative_to(folder).with_suffix(""))
    if folder.is_dir():  # the same folder may be called by another of its names, or the image's
        for above in absolute.parents:
            if os.path.samefile(above, folder):
                return str(absolute.relative_to(above).with_suffix(""))
        real = absolute.parent.resolve() / absolute.name
        if real.is_relative_to(folder.resolve()):
            return str(real.relative_to(folder.resolve()).with_suffix(""))
    raise InputError(f"{path} is not below {base}; give --root, the folder where the images' keys begin")


def image_size(path: str) -> Size:
    """Size of an image as it is meant to be seen, without decoding it.

    Raises:
        InputError: where the file is no image, or has more than `MOST_PIXELS`.
    """
    with _opened(path) as image:
        # a PNG looks for its EXIF behind the pixels, and decodes them for that; see Preparation for what follows
        known = image.format != "PNG" or "exif" in image.info
        turned = known and image.getexif().get(_ORIENTATION, 1) >= 5
        return Size(image.height, image.width) if turned else Size(image.width, image.height)


def read_image(path: str) -> np.ndarray:
    """An image as (h, w, 3) uint8 RGB: turned as its EXIF says, of an animation the first frame.

    Grey and CMYK images and palettes become RGB; 16 bits a channel are scaled to 8, transparency is dropped.

    Raises:
        InputError: where the file is no image, is cut off, or has more than `MOST_PIXELS`.
    """
    with _opened(path) as image:
        try:
            image.seek(0)
            upright = ImageOps.exif_transpose(image)
            if upright.mode in _SIXTEEN_BIT:
                grey = np.asarray(upright, dtype=np.int64)
                upright = Image.fromarray((grey.clip(0, 65535) >> 8).astype(np.uint8))
            return np.array(upright.convert("RGB"))
        except Exception as error:  # Pillow raises many kinds for damaged files
            raise InputError(f"the image {path} is damaged ({error}); get it again, or leave it out") from None


def _opened(path: str) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit refuses panoramas; MOST_PIXELS takes its place
    try:
        image = Image.open(path)
    except FileNotFoundError:
        leads = f", a link to {os.readlink(path)}," if os.path.islink(path) else ""
        raise InputError(
            f"the image {path}{leads} is not there; get the file (of a dataset kept by links, by `git annex get` or "
            "`dvc pull`), or leave it out"
        ) from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is not an image; leave it out, or get it again") from None
    except Exception as error:  # as above
        raise InputError(f"the image {path} cannot be opened ({error}); get it again, or leave it out") from None
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise InputError(f"the image {path} has more than {MOST_PIXELS:,} pixels; make it smaller, or leave it out")
    return image


def resized(size: Size, shortest: int, longest: int) -> Size:
    """The size of an image whose shorter side is resized to `shortest`, or its longer one to `longest` if that is less.

    No side becomes 0, however narrow the image.
    """
    scale = shortest / min(size)
    if scale * max(size) > longest:
        scale = longest / max(size)
    return Size(max(1, int(size.width * scale + 0.5)), max(1, int(size.height * scale + 0.5)))


def resize(image: np.ndarray, size: Size, method: str) -> Tensor:
    """(3, h, w) in BGR, 0 to 255, as detectors of this family take it; uint8 by `pillow`, float32 by `opencv`.

    Args:
        image: (h, w, 3) uint8 RGB.
        size: of the result.
        method: `pillow` filters and rounds to whole values, as detectron2; `opencv` interpolates between the four
            nearest pixels and keeps fractions, as caffe and maskrcnn-benchmark did.
    """
    if method == "pillow":
        scaled = np.asarray(Image.fromarray(image).resize((size.width, size.height), Image.Resampling.BILINEAR))
        return torch.from_numpy(np.ascontiguousarray(scaled[:, :, ::-1].transpose(2, 0, 1)))
    channels = torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1))).float()
    wanted = (size.height, size.width)
    return functional.interpolate(channels[None], size=wanted, mode="bilinear", align_corners=False)[0]


def plan_batches(
    files: Iterable[ImageFile], sizes: Iterable[Size], batch_size: int
) -> list[list[tuple[ImageFile, Size]]]:
    """Batches of images that have the same size after resizing, so that no image is padded to another's size.

    Padding changes what a detector sees at the border. The plan depends on the images alone, so that a run that goes on
    where another was killed makes the same batches.

    Args:
        files: the images.
        sizes: of each image after resizing.
        batch_size: most images a batch.
    """
    groups: dict[Size, list[tuple[ImageFile, Size]]] = {}
    for file, size in zip(files, sizes, strict=True):
        groups.setdefault(size, []).append((file, size))
    return [
        group[start : start + batch_size] for group in groups.values() for start in range(0, len(group), batch_size)
    ]
