"""What a message tells to do is tried: after it, what was refused works. And commands that messages name are there."""

import argparse
import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from mmf_visualbert.cli.main import COMMANDS, Parser
from mmf_visualbert.errors import InputError
from mmf_visualbert.places import PACKAGE
from tests.docs.bad_inputs import CASES, Attempt, Case, TorchFile, said
from tests.fuzz.readers import READERS, torch_bytes

# What a message tells to do, where that is to have the right file: the rest of it says how to get it.
RIGHT_FILE = (
    *("get the file again", "download or make it again", "download the file itself", "fetch the file itself", "get it"),
    *("correct it", "write numbers", "make the file again", "it has to be True or False", "a phrase is", "unpack it"),
    *("use the official", "write its path relative to the folder", "mend the box", "download it again"),
    *(
        "get the features again",
        "extract them anew",
        "extract the features of this image again",
        "write boxes as lists",
    ),
    *("write, copy or download it again", "give VQA's official json files", "save it as UTF-8"),
)
# Tried by other tests: a sample world and its run; the folder of a run; another task's official files.
ELSEWHERE = ("try a generated sample", "name your folder with env.data_dir=DIR", "name its best.ckpt")


def advice(case: Case) -> list[str]:
    """What a message tells to do."""
    message = said(case)
    return re.split(r", or (?:then )?| or (?=name )", message.rpartition("; ")[2])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_after_the_mend_it_works(case, tmp_path):
    with pytest.raises(InputError):
        case.refused(tmp_path)
    for told in advice(case):
        special = next((mend for words, mend in case.mends.items() if told.startswith(words)), None)
        if special is not None:
            special(tmp_path)
            continue
        assert told.startswith((*RIGHT_FILE, *ELSEWHERE)), f"no test tries '{told}'"
        if told.startswith(RIGHT_FILE):
            right(case)(tmp_path)


def right(case: Case) -> Attempt | TorchFile:
    """The attempt with the right file in place of the bad one."""
    if isinstance(case.refused, Attempt):
        return Attempt(case.refused.reader, READERS[case.refused.reader].good)
    assert isinstance(case.refused, TorchFile)
    return TorchFile(torch_bytes({"a": torch.zeros(3)}))


@pytest.fixture(scope="module")
def texts() -> list[tuple[Path, str]]:
    """All texts of the package, with their files."""
    return list(read_texts())


def read_texts() -> Iterator[tuple[Path, str]]:
    """Every text of the package that is no docstring, f-strings with `{}` where a value comes, and their files."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield path, "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | inner:
                yield path, node.value


def test_no_message_names_what_a_wheel_does_not_have(texts):
    named = [(path.name, text) for path, text in texts if re.search(r"(?<![\w/])(tools|tests|benchmarks)/\w", text)]
    # doctor says what a checkout has where there is one.
    assert {file for file, _ in named} <= {"doctor.py"}, named


class Command(NamedTuple):
    """A command of ours: the words that may follow it (`features check`), and all options."""

    words: set[str]
    options: set[str]


@pytest.fixture(scope="module")
def commands() -> dict[str, Command]:
    """Every command."""
    return {name: command(name) for name in COMMANDS}


def command(name: str) -> Command:
    """What a command takes, with all that its own commands take."""
    outer, found = Parser(), Command(set(), set())
    importlib.import_module(f"mmf_visualbert.cli.{name.replace('-', '_')}").add_arguments(outer)
    waiting: list[Any] = [outer]
    while waiting:
        for action in waiting.pop()._actions:
            found.options.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                found.words.update(action.choices)
                waiting += action.choices.values()
    return found


def test_commands_that_messages_name_are_there(commands, texts):
    named = [
        (path.name, *found.groups())
        for path, text in texts
        for found in re.finditer(r"(?<![\w./-])visualbert ([a-z][a-z-]+)(?: ([a-z][a-z-]+))?", text)
    ]
    assert len(named) > 20
    wrong = [
        (file, name, word)
        for file, name, word in named
        if name not in commands or (commands[name].words and word is not None and word not in commands[name].words)
    ]
    assert [one for one in wrong if one[1] not in ("is", "in", "of")] == []


CALLS_OTHERS = ("install_mmf.py", "launching.py")  # pip; Slurm and torchrun
# Of pip and Docker.
FOREIGN = {"--shm-size", "--force-reinstall", "--no-build-isolation", "--version", "--help", "--no-deps"}


def test_options_that_messages_name_are_there(commands, texts):
    known = FOREIGN | {"--user-dir"} | {option for each in commands.values() for option in each.options}
    given = [(path, text) for path, text in texts if path.name not in CALLS_OTHERS]
    named = [(path.name, option) for path, text in given for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)]
    assert len(named) > 50 and [one for one in named if one[1] not in known] == []
