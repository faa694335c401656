"""Writing files whole or not at all.

A file is written under another name beside its own, brought to the disk, and only then given its name. Whatever goes
wrong, or whenever the process is killed, the old file is whole or the new one is.
"""

import contextlib
import csv
import errno
import fcntl
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmf_visualbert.characters import whole_characters
from mmf_visualbert.errors import InputError

_MENDS = {
    errno.ENOSPC: ("there is no room left on its disk", "free some, or name another place, and start again"),
    errno.EDQUOT: ("the quota of this user is used up", "free some room, or name another place, and start again"),
    errno.EFBIG: ("it is larger than a file may be here", "raise `ulimit -f`, or name another disk"),
    errno.EROFS: ("its disk is read-only", "name another place"),
    errno.EACCES: ("this user may not write there", "change the permissions of its folder, or name another place"),
    errno.EPERM: ("this user may not write there", "change the permissions of its folder, or name another place"),
    errno.EISDIR: ("there is a folder of that name", "name a file"),
    errno.ENOTDIR: ("a part of its path is a file", "name another place"),
    errno.EEXIST: ("a part of its path is a file", "name another place"),
    errno.ENOTEMPTY: ("there is something else of that name", "remove it, or name another place"),
    errno.ENAMETOOLONG: ("its name is longer than a name can be", "give it a shorter one"),
    errno.EIO: ("its disk fails", "name a place on another disk"),
}


def failure(path: str | Path, error: OSError) -> InputError:
    """The sentence about a file that could not be written."""
    what, mend = _MENDS.get(error.errno or 0, (error.strerror or str(error), "name another place"))
    return InputError(f"{path} cannot be written: {what}; {mend}")


@contextlib.contextmanager
def write_errors(path: str | Path) -> Iterator[None]:
    """Turns what the system says while `path` is written into one sentence.

    Raises:
        InputError: in place of every OSError but that of a reader of our output who has gone.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise failure(path, error) from error


class PartialFile(io.FileIO):
    """A file that is being written, under another name.

    It has no buffer, and every write is a whole one. It keeps the first error of the system, because torch and others
    say something else in its place.

    Args:
        path: which it is to get. Something that is no file, as /dev/stdout, is written to directly.

    Attributes:
        partial: its name until then.
        error: the first of the system's.
    """

    def __init__(self, path: Path) -> None:
        self._is_device = path.exists() and not path.is_file() and not path.is_dir()
        self.partial, descriptor = (str(path), os.open(path, os.O_WRONLY)) if self._is_device else _reserve(path)
        super().__init__(descriptor, "wb")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Writes all of `data`."""
        rest = memoryview(data).cast("B")
        total = len(rest)
        try:
            while len(rest):
                rest = rest[os.write(self.fileno(), rest) :]
        except OSError as error:
            self.error = self.error or error
            raise
        return total

    def finish(self, path: Path) -> None:
        """Brings what was written to the disk, and the file to its name."""
        try:
            if self.error is not None:
                raise self.error
            if not self._is_device:
                os.fsync(self.fileno())
                os.replace(self.partial, path)
        except OSError:
            self.discard()
            raise
        self.close()
        if not self._is_device:
            sync_folder(path.parent)

    def discard(self) -> None:
        """Removes what was written."""
        if not self._is_device:
            with contextlib.suppress(OSError):
                os.unlink(self.partial)
        self.close()


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[PartialFile]:
    """Gives a file to write bytes to, which becomes `path` at the end of the block; its folder is made where needed.

    A link is followed.

    Raises:
        InputError: where it cannot be written; then, and after an exception in the block, nothing is changed.
    """
    given, path = path, Path(os.path.realpath(path))
    with write_errors(given):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and not os.access(path, os.W_OK):  # a rename would not ask
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        part = PartialFile(path)
    try:
        yield part
    except BaseException as error:
        part.discard()
        if part.error is not None and isinstance(error, Exception):
            raise failure(given, part.error) from error
        raise
    with write_errors(given):
        part.finish(path)


def _reserve(path: Path) -> tuple[str, int]:
    """A new, empty file beside `path`: its name and descriptor.

    The name is always the same, so that what a killed process left is written over, unless another process is writing
    the same file: then each writes its own, and the last to end has its way.
    """
    name = str(path.with_name(f".{path.name[:200]}.partial"))
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(name)):  # not renamed or removed before it was locked
            os.ftruncate(descriptor, 0)
            return name, descriptor
    except OSError:  # locked, or on a disk without locks, or just renamed
        pass
    os.close(descriptor)
    name = f"{name}-{os.getpid()}-{os.urandom(4).hex()}"
    return name, os.open(name, flags | os.O_EXCL, 0o666)


def sync_folder(folder: str | Path) -> None:
    """Brings the names in a folder to the disk; some disks cannot, and need not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing_folder(folder: str | Path) -> Iterator[Path]:
    """Gives a new folder to write files in, which becomes `folder` at the end of the block.

    Raises:
        InputError: where it cannot be written, or there is one already that is not empty; then, and after an exception
            in the block, nothing is changed.
    """
    given, folder = folder, Path(os.path.abspath(folder))
    part = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        with write_errors(given):
            shutil.rmtree(part, ignore_errors=True)  # of a killed process of this number
            part.mkdir(parents=True)
            yield part
            for below, _, names in os.walk(part):
                for name in names:
                    _sync_file(os.path.join(below, name))
                sync_folder(below)
            os.replace(part, folder)
            sync_folder(folder.parent)
    except Exception as error:
        if (code := re.search(r"\(os error (\d+)\)", str(error))) and not isinstance(error, InputError):
            raise failure(given, OSError(int(code[1]), os.strerror(int(code[1])))) from error  # of safetensors
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sync_file(name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all."""
    with writing(path) as file:
        file.write(whole_characters(text).encode())


def write_json(path: str | Path, content: Any, indent: int | None = 2) -> None:
    """Writes one value in JSON, whole or not at all.

    Args:
        path: of the file.
        content: what `json` can write.
        indent: spaces a level; None: all in one line.
    """
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def write_rows(path: str | Path, rows: Iterable[Sequence[Any]]) -> None:
    """Writes a csv file, whole or not at all."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def write_torch(path: str | Path, content: Any) -> None:
    """Writes what `torch.save` takes, whole or not at all."""
    import torch  # takes seconds, and writers of text do without

    with writing(path) as file:
        torch.save(content, file)
