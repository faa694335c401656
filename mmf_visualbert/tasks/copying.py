"""A task of one's own begins as a copy of `tasks/_template` under another name."""

import keyword
import re
from pathlib import Path

from mmf_visualbert.errors import InputError
from mmf_visualbert.files import read_text, write_text, writing_folder

TEMPLATE = Path(__file__).parent / "_template"


def check_name(name: str) -> None:
    """Refuses what cannot be the name of a folder, a module, a registered part and a yaml at once.

    Raises:
        InputError: naming what is wrong.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InputError(f"'{name}' is no name for a task; write a word in lower case, such as my_task")
    if "val" in name or name.startswith("visualbert"):
        raise InputError(f"MMF reads meaning into 'val', and we begin names with 'visualbert'; rename '{name}'")


def copy_template(name: str, parent: Path) -> Path:
    """Copies the template to `parent`/`name`, with the name in place of its own; gives the folder.

    Raises:
        InputError: where it is there already.
    """
    folder = parent / name
    if folder.exists():
        raise InputError(f"{folder} is there already; give another name, or remove it")
    title = "".join(part.capitalize() for part in name.split("_"))
    with writing_folder(folder) as partial:
        for file in sorted(path for path in TEMPLATE.iterdir() if path.is_file()):
            text = read_text(file).replace("template", name).replace("Template", title)
            write_text(partial / file.name, text)
    return folder
