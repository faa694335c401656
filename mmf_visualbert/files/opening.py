"""What every reader asks first: is the file there, may it be read, and is it a file of that kind at all?"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from mmf_visualbert.errors import InputError

HEAD = 512  # bytes by which a file shows what it is

_REASONS = {
    errno.ENOENT: "does not exist; put the file there, or name the right one in the configuration",
    errno.ENOTDIR: "does not exist, as a part of the path is a file; name the right path",
    errno.EISDIR: "is a folder; name a file in it",
    errno.EACCES: "may not be read by this user; change its permissions, or those of its folder",
    errno.EPERM: "may not be read by this user; change its permissions, or those of its folder",
    errno.ENAMETOOLONG: "has a longer name than a file can have; name the right one",
    errno.ELOOP: "is a link that leads back to itself; name the file itself",
}


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turns what the system says while `path` is read into one sentence.

    Raises:
        InputError: in place of every OSError, and of a path that can be none.
    """
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"cannot be read ({error.strerror or error}); check its disk")
        raise InputError(f"{shown(path)} {reason}") from error
    except ValueError as error:  # "embedded null byte"
        if isinstance(error, InputError) or "\0" not in str(path):
            raise
        raise InputError(f"{shown(path)} can be no path; name a file") from error


def shown(path: str | Path) -> str:
    """A path as it stands in a message: what no file can be called is cut short."""
    text = str(path).replace("\0", "\\0")
    return text if len(text) <= 4096 else f"{text[:80]}..."


def require(path: str | Path) -> Path:
    """The path, after a check that there is something.

    Raises:
        InputError: where it does not exist, or is an empty file.
    """
    path = Path(path)
    with reading(path):
        if path.stat().st_size == 0 and path.is_file():
            raise InputError(f"{path} is empty; download or make it again")
    return path


def require_below(name: str, where: str) -> str:
    """The name of a file below a folder, as a data file has it, after a check that it leads nowhere else.

    Args:
        name: with folders between slashes.
        where: names it in messages.

    Raises:
        InputError: where it is absolute, leads upwards, or can be no name.
    """
    parts = name.split("/")
    if (
        name.startswith("/")
        or ".." in parts
        or "\0" in name
        or any(len(part.encode("utf-8", "replace")) > 255 for part in parts)
    ):
        raise InputError(
            f"{where} is '{shown(name)[:200]}', which names no file below its folder; write its path relative to the "
            "folder, without '..'"
        )
    return name


def foreign(head: bytes) -> str | None:
    """What stands in place of the file that was meant, and the mend; None where `head` shows nothing of the kind.

    Args:
        head: the first bytes of the file, `HEAD` of them.
    """
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer that stands for the file; fetch the file itself with `git lfs pull`"
    if start.startswith((b"/annex/objects/", b"../.git/annex/", b".git/annex/")):
        return "is a git-annex pointer that stands for the file; fetch the file itself with `git annex get`"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<script")):
        return (
            "is a web page in place of the file, as a link to a login or a warning gives it; download the file itself"
        )
    if start.startswith(b"<?xml") and b"<Error>" in head:
        return "is a server's error message in place of the file; download it again"
    if len(head) == HEAD and not head.strip(b"\0"):
        return "begins with nothing but zeros, as an interrupted download leaves it; download it again"
    return None


def refuse_foreign(path: str | Path, head: bytes) -> None:
    """Refuses what is no file of the kind at all.

    Raises:
        InputError: saying what it is.
    """
    what = foreign(head)
    if what is not None:
        raise InputError(f"{path} {what}")


def size_of(path: str | Path) -> int:
    """Bytes of a file."""
    with reading(path):
        return os.stat(path).st_size
