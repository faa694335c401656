"""Pictures of the world: a scene with the number and the file it has in one of the annotation sets."""

from dataclasses import dataclass
from pathlib import Path

from mmf_visualbert.sampleworld.scene import Scene


@dataclass(frozen=True)
class Picture:
    """A scene and its image file.

    Args:
        scene: what it shows.
        folder: of the file, relative to the world (`images/train2014`).
        key: file name without extension, which is the key of its region features.
        number: the id in the official files (COCO's, Flickr30K's); -1 where there is none.
    """

    scene: Scene
    folder: str
    key: str
    number: int = -1

    @property
    def file_name(self) -> str:
        """Name of the file without its folder."""
        return f"{self.key}.png"

    @property
    def path(self) -> Path:
        """Of the file, relative to the world."""
        return Path(self.folder) / self.file_name

    @property
    def width(self) -> int:
        """Pixels."""
        return self.scene.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.scene.height
