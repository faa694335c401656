"""`visualbert COMMAND ...`: which commands there are, and how each is parsed and run."""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import mmf_visualbert
from mmf_visualbert.ending import finish
from mmf_visualbert.errors import InputError

PROGRAM = "visualbert"
USER_DIR = "--user-dir"
# In the order in which one comes to need them.
COMMANDS = {
    "install-mmf": "put MMF into this environment, without its pins of 2020",
    "doctor": "what is installed, which repairs are active and why, what is missing",
    "sample-data": "draw the sample world, in which everything runs without a download",
    "new": "a start with your own data: a yaml for a table, or a package of your own",
    "table": "what is wrong with a table of your own, before it is trained on",
    "features": "stores of region features: build, convert, merge, describe, check",
    "extract": "region features of images, by a detector of detectron2 or torchvision",
    "convert": "weights of other VisualBERTs to ours, and back",
    "launch": "write the script that trains on several devices and machines: Slurm's, or torchrun's",
    "reproduce": "run the phases of one of the paper's rows, and print it beside the paper's",
    "predict": "answers of a trained model, to one text or to a file of them",
    "serve": "a page on this machine that asks a model about photographs",
    "submission": "check and write leaderboard files",
    "vcr": "VCR alone: features of a fixed backbone, the leaderboard's csv of two models",
    "analyze": "what the attention heads of a model have learnt (§5 of the paper)",
    "explore": "a page that shows what a model looks at, example by example",
    "report": "a page of a run, or of a chain of reproduce: numbers, curves, examples",
    "benchmark": "speed and memory, each figure beside its rival in the same run",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in one line.

    A command with `intermixed` among its defaults takes words on both sides of its options.
    """

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does."""
        if self.get_default("intermixed"):
            return self.parse_intermixed_args(args, namespace)
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """The console command; gives the exit code."""
    given = [_at_home(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    if given and given[0].split("=")[0] == USER_DIR:
        _, equals, folder = given.pop(0).partition("=")
        if not equals and not given:
            return finish(lambda: _refuse_no_folder(), PROGRAM)
        folder = folder if equals else given.pop(0)
    else:
        folder = os.environ.get("MMF_USER_DIR", "")
    if not given:
        sys.stderr.write(overview())
        return 2
    if given[0] in COMMANDS:
        code = finish(lambda: import_user_package(folder), PROGRAM) if folder else 0
        return code or run(given[0].replace("-", "_"), given[1:], f"{PROGRAM} {given[0]}")
    return finish(lambda: _about(given[0]), PROGRAM)


def run(module: str, arguments: Sequence[str] | None, program: str) -> int:
    """Parses and runs one command; gives the exit code.

    Args:
        module: its file in this folder.
        arguments: the words after its name; None takes those of the process.
        program: what the user called it, for its help and its errors.
    """
    command = importlib.import_module(f"mmf_visualbert.cli.{module}")
    given = [_at_home(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    parser = Parser(prog=program, description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(stopped="stopped", given=given)
    command.add_arguments(parser)
    options = parser.parse_args(given)
    return finish(lambda: options.run(options), program, options.stopped)


def overview() -> str:
    """All commands, a line each."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items())
    return f"""usage: {PROGRAM} COMMAND ...

VisualBERT as a plugin for MMF. Its own commands, mmf_run and mmf_predict, train and evaluate; this one does the rest:

{lines}

{PROGRAM} {USER_DIR} FOLDER COMMAND ... also knows the tasks of your own package (MMF's env.user_dir, or MMF_USER_DIR).
{PROGRAM} COMMAND --help explains a command, {PROGRAM} --version says which version this is.
"""


def import_user_package(folder: str) -> None:
    """Imports the user's own package, which files its parts and tasks."""
    importlib.import_module("mmf_visualbert.catalog").import_user_package(folder)


def _at_home(word: str) -> str:
    """A word whose `~/` behind `--option=` is the user's folder, which a shell leaves as it is."""
    option, _, value = word.partition("=")
    return f"{option}={os.path.expanduser(value)}" if word.startswith("--") and value.startswith("~/") else word


def _refuse_no_folder() -> None:
    raise InputError(f"{USER_DIR} names no folder; write {USER_DIR} FOLDER before the command")


def _about(word: str) -> None:
    if word in ("-h", "--help", "help"):
        sys.stdout.write(overview())
    elif word == "--version":
        print(f"mmf_visualbert {mmf_visualbert.__version__}")
    else:
        near = difflib.get_close_matches(word, COMMANDS, n=1)
        meant = f" (did you mean '{near[0]}'?)" if near else ""
        raise InputError(f"there is no command '{word}'{meant}; choose one of {', '.join(COMMANDS)}")
