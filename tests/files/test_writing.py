"""Writing: the old state or the new one, whatever goes wrong and whenever the process ends."""

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch
from transformers import BertConfig

from mmf_visualbert.checkpoints.files import write_transformers
from mmf_visualbert.errors import InputError
from mmf_visualbert.files import (
    read_json,
    read_rows,
    read_safetensors,
    read_torch,
    write_json,
    write_rows,
    write_text,
    write_torch,
    writing,
    writing_folder,
)

OLD, NEW = "old state\n", "new state, which is longer\n" * 40
LARGE = {"weights": torch.arange(5000.0)}


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_is_written_is_read_again(tmp_path):
    write_text(tmp_path / "below" / "a.txt", "é\n")
    assert (tmp_path / "below" / "a.txt").read_bytes() == "é\n".encode()
    write_json(tmp_path / "a.json", {"é": [1, None]})
    assert read_json(tmp_path / "a.json") == {"é": [1, None]}
    write_rows(tmp_path / "a.csv", [["a", "b,c"], [1, "x\ny"]])
    assert [row for _, row in read_rows(tmp_path / "a.csv")] == [["a", "b,c"], ["1", "x\ny"]]
    write_torch(tmp_path / "a.pth", LARGE)
    assert torch.equal(read_torch(tmp_path / "a.pth")["weights"], LARGE["weights"])
    assert names(tmp_path) == ["a.csv", "a.json", "a.pth", "below"]


def test_half_a_character_becomes_a_sign_that_every_reader_takes(tmp_path):
    write_text(tmp_path / "a.txt", "smile \ud83d! \ud83d\ude00")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "smile \ufffd! 😀"


def test_permissions_are_those_of_any_new_file(tmp_path):
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", OLD)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_link_is_followed_and_a_device_stays_one(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "a.txt").symlink_to(tmp_path / "disk" / "real.txt")
    write_text(tmp_path / "a.txt", NEW)
    assert (tmp_path / "a.txt").is_symlink() and (tmp_path / "disk" / "real.txt").read_text() == NEW
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", OLD)
    assert os.read(reader, 100).decode() == OLD and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    os.close(reader)


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_an_exception_of_the_writer_changes_nothing(tmp_path, raised):
    write_text(tmp_path / "a.txt", OLD)
    with pytest.raises(raised), writing(tmp_path / "a.txt") as file:
        file.write(b"half")
        raise raised
    with pytest.raises(raised), writing_folder(tmp_path / "b") as folder:
        (folder / "x").write_text("half")
        raise raised
    assert (tmp_path / "a.txt").read_text() == OLD and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file/a.txt", "a part of its path is a file"),
        ("folder", "there is a folder of that name"),
        ("x" * 300, "longer than a name can be"),
    ],
)
def test_places_where_nothing_can_be_written(tmp_path, place, words):
    (tmp_path / "file").write_text(OLD)
    (tmp_path / "folder").mkdir()
    for write in (lambda path: write_text(path, NEW), lambda path: write_torch(path, LARGE)):
        with pytest.raises(InputError, match=words) as caught:
            write(tmp_path / place)
        assert "\n" not in str(caught.value) and place in str(caught.value)
    assert names(tmp_path) == ["file", "folder"] and (tmp_path / "file").read_text() == OLD


def test_a_folder_that_is_there_is_not_written_over(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text(OLD)
    with pytest.raises(InputError, match="there is something else of that name"), writing_folder(tmp_path / "a") as new:
        (new / "x").write_text(NEW)
    assert names(tmp_path) == ["a"] and names(tmp_path / "a") == ["mine"]


class Faults:
    """Counts the calls of the system that write, and lets number `at` go wrong."""

    CALLS = ("open", "write", "fsync", "replace")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, fault: str) -> None:
        self.count, self.at, self.fault = 0, at, fault
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, real):
        def call(*arguments, **options):
            self.count += 1
            if self.count != self.at:
                return real(*arguments, **options)
            if self.fault == "short" and name == "write":
                return real(arguments[0], arguments[1][: max(1, len(arguments[1]) // 3)])
            if self.fault == "short":
                return real(*arguments, **options)
            raise OSError(getattr(errno, self.fault), os.strerror(getattr(errno, self.fault)))

        return call


def transformers_folder(path: Path, weight: float) -> None:
    write_transformers({"a.weight": torch.full((6000,), weight)}, BertConfig(hidden_size=8), path)


def read_folder(path: Path) -> float:
    return float(read_safetensors(path / "model.safetensors")["a.weight"][0])


WRITERS = {
    "text": (lambda path, new: write_text(path, NEW if new else OLD), lambda path: path.read_text() == NEW),
    "json": (lambda path, new: write_json(path, [new] * 99), lambda path: json.loads(path.read_text()) == [True] * 99),
    "rows": (
        lambda path, new: write_rows(path, [[int(new), "x"]] * 50),
        lambda path: path.read_text() == "1,x\n" * 50,
    ),
    "torch": (
        lambda path, new: write_torch(path, {"weights": torch.full((5000,), float(new))}),
        lambda path: bool(read_torch(path)["weights"].eq(1).all()),
    ),
}


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EDQUOT", "short"])
@pytest.mark.parametrize("kind", WRITERS)
def test_fault_number_n_leaves_the_old_file_or_the_new_one(tmp_path, kind, fault):
    write, is_new = WRITERS[kind]
    at = 0
    while True:
        at += 1
        path = tmp_path / str(at) / "a"
        write(path, False)
        with pytest.MonkeyPatch.context() as patched:
            faults = Faults(patched, at, fault)
            try:
                write(path, True)
                said = None
            except InputError as error:
                said = str(error)
        if faults.count < at:
            break
        assert names(path.parent) == ["a"], at
        assert is_new(path) or said is not None, at
        assert said is None or (str(path) in said and "\n" not in said and "cannot be written" in said)
        if fault == "short":
            assert said is None
    assert at > (8 if kind == "torch" else 4)


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO"])
def test_fault_number_n_leaves_a_whole_folder_or_none(tmp_path, fault):
    at = 0
    while True:
        at += 1
        path = tmp_path / str(at)
        with pytest.MonkeyPatch.context() as patched:
            faults = Faults(patched, at, fault)
            try:
                with writing_folder(path) as folder:
                    (folder / "below").mkdir()
                    for name in ("a", "below/b"):
                        write_text(folder / name, NEW)
            except InputError as error:
                assert str(at) in str(error) and "\n" not in str(error)
        if faults.count < at:
            break
        if path.exists():
            assert (path / "a").read_text() == (path / "below" / "b").read_text() == NEW
    assert at > 8 and all(name.isdigit() for name in names(tmp_path))


@pytest.fixture
def largest_file():
    """Sets how large a file may become: the system then writes as far as that, and refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_a_disk_that_takes_no_more_after_any_byte(tmp_path, largest_file, share):
    write_torch(tmp_path / "a.pth", LARGE)
    old = (tmp_path / "a.pth").read_bytes()
    largest_file(int(share * len(old)))
    with pytest.raises(InputError, match="larger than a file may be here"):
        write_torch(tmp_path / "a.pth", {"weights": -LARGE["weights"]})
    with pytest.raises(InputError, match="larger than a file may be here"):
        write_text(tmp_path / "b.txt", "x" * len(old))
    with pytest.raises(InputError, match="larger than a file may be here"):
        transformers_folder(tmp_path / "c", 1.0)
    largest_file(resource.RLIM_INFINITY)
    assert (tmp_path / "a.pth").read_bytes() == old and names(tmp_path) == ["a.pth"]
    transformers_folder(tmp_path / "c", 2.0)
    assert read_folder(tmp_path / "c") == 2.0 and names(tmp_path) == ["a.pth", "c"]


WRITE_FOR_EVER = """
import sys
from mmf_visualbert.files import write_text
print("begins", flush=True)
number = 0
while True:
    number += 1
    write_text(sys.argv[1], f"{number}\\n" * 200_000)
"""


def test_a_writer_that_is_killed_at_any_moment(tmp_path):
    path = tmp_path / "a.txt"
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parents[2]))
    for moment in range(6):
        command = [sys.executable, "-c", textwrap.dedent(WRITE_FOR_EVER), str(path)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.05 + 0.013 * moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if path.exists():
            lines = path.read_text().split("\n")
            assert len(lines) == 200_001 and len(set(lines[:-1])) == 1
        assert len(names(tmp_path)) <= 2  # what one leaves, the next one takes
    write_text(path, NEW)
    assert names(tmp_path) == ["a.txt"] and path.read_text() == NEW


def test_two_writers_of_one_file_both_write_it_whole(tmp_path):
    with writing(tmp_path / "a.txt") as first, writing(tmp_path / "a.txt") as second:
        assert first.partial != second.partial
        first.write(b"first")
        second.write(b"second")
    assert (tmp_path / "a.txt").read_text() == "first" and names(tmp_path) == ["a.txt"]

    def write(letter: str) -> None:
        for _ in range(20):
            write_text(tmp_path / "b.txt", letter * 5000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set((tmp_path / "b.txt").read_text())) == 1 and names(tmp_path) == ["a.txt", "b.txt"]


def test_nothing_is_written_where_the_user_may_not(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    write_text(tmp_path / "a.txt", OLD)
    (tmp_path / "a.txt").chmod(0o444)
    with pytest.raises(InputError, match="this user may not write there"):
        write_text(tmp_path / "a.txt", NEW)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(InputError, match="this user may not write there"):
            write_text(tmp_path / "b.txt", NEW)
    finally:
        tmp_path.chmod(0o755)
    assert (tmp_path / "a.txt").read_text() == OLD
