"""What the pages name is there: links, files, commands with their options, runs with their keys, the paper's rows."""

import argparse
import ast
import importlib
import json
import re
import shlex
import subprocess
from collections.abc import Callable

import pages
import pytest
from pages import ROOT
from yaml import safe_load

from mmf_visualbert import catalog
from mmf_visualbert.cli.main import COMMANDS, USER_DIR, Parser
from mmf_visualbert.reproduce.plan import make_plan, variants

PAGES = pages.pages()
RUN_BY_THEIR_OWN_TEST = ("docs/extending.md", "mmf_visualbert/tasks/_template/README.md")
MMF_COMMANDS = ("mmf_run", "mmf_predict")
# Words that need the checkpoint of an earlier run, or the hub.
GOES_ON = ("checkpoint.resume=", "checkpoint.resume_best=", "model_config.visualbert.pretrained=")
ROOMS = ("mmf_visualbert", "projects", "tests", "tools", "docs", "benchmarks")
each_page = pytest.mark.parametrize("page", PAGES, ids=pages.name)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of one of `visualbert`'s commands."""
    assert command in COMMANDS, f"there is no command 'visualbert {command}'"
    parser = Parser(prog=f"visualbert {command}")
    importlib.import_module(f"mmf_visualbert.cli.{command.replace('-', '_')}").add_arguments(parser)
    return parser


def without_user_dir(words: list[str]) -> list[str]:
    """The words after `visualbert`, and after the folder that it is told of."""
    return words[3:] if words[1:2] == [USER_DIR] else words[1:]


def check_mention(words: list[str]) -> None:
    """Asks whether the commands and options of a line in running text exist; its values are anything."""
    if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
        return
    parser = parser_of(words[0])
    for word in words[1:]:
        nested = next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
        if nested is not None and re.fullmatch(r"[a-z][a-z-]*", word):
            assert word in nested.choices, f"'{parser.prog}' has no '{word}'"
            parser = nested.choices[word]
        elif word.startswith("--"):
            assert word in parser._option_string_actions or word == "--help", f"'{parser.prog}' has no {word}"


def test_there_are_pages():
    named = {pages.name(page) for page in PAGES}
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= named
    for task in ("captions", *variants()):
        assert f"mmf_visualbert/tasks/{task}/README.md" in named
    for page in ("data", "features", "extending", "checkpoints", "reproduce"):
        assert f"docs/{page}.md" in named


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", pages.prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        linked = page if not path else page.parent / path
        assert linked.exists(), target
        assert not heading or heading in pages.slugs(linked), target


@each_page
def test_files_that_are_named_exist(page):
    for text in pages.mentions(page):
        if not re.fullmatch(rf"({'|'.join(ROOMS)})/[\w./*{{}},-]+", text) or "yes_no" in text:
            continue
        for path in pages.braces(text):
            assert any(ROOT.glob(path.rstrip("/"))), path


@each_page
def test_shell_blocks_are_shell(page):
    for block in pages.blocks(page, "bash"):
        done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"line {block.line}: {done.stderr}"


@each_page
def test_scripts_of_the_repository_exist(page):
    for words in pages.commands(page, "bash", "python"):
        if words[1].startswith("tools/"):
            assert (ROOT / words[1]).is_file(), words


@each_page
def test_other_blocks_are_what_they_say(page):
    assert all(block.language for block in pages.blocks(page)), "a block without its language is not looked at"
    for block in pages.blocks(page, "json"):
        assert json.loads(block.text), block.line
    for block in pages.blocks(page, "yaml"):
        assert safe_load(block.text), block.line
    for block in pages.blocks(page, "python"):
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("mmf_visualbert"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, name.name) for name in node.names), block.line


@each_page
def test_our_commands_are_taken_as_they_are_written(page, capsys):
    for words in pages.commands(page, "visualbert"):
        command, *rest = without_user_dir(words)
        if "..." in rest or command.startswith("-"):
            check_mention([command, *rest])
            continue
        parser = parser_of(command)
        try:
            options = parser.parse_args(rest)
        except SystemExit as stop:  # --list ends by itself
            assert stop.code == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"
            continue
        if "yes_no" not in words and "template" not in words and vars(options).get("task"):
            catalog.task(options.task)
        if command == "reproduce" and options.task in catalog.tasks():
            make_plan(options.task, options.variant, options.scale)


@each_page
def test_our_commands_that_are_named_exist(page):
    for text in pages.mentions(page):
        if text.startswith("visualbert "):
            check_mention(without_user_dir(text.split()))


def write_shown_files(page, folder) -> dict[str, str]:
    """Writes the yaml blocks that begin with `# NAME.yaml`; the word of a command for each, and its place."""
    placed = {}
    for block in pages.blocks(page, "yaml"):
        if named := re.match(r"# (\S+\.yaml)\n", block.text):
            (folder / named[1]).write_text(block.text)
            placed[f"config={named[1]}"] = f"config={folder / named[1]}"
    return placed


@pytest.mark.parametrize("page", [p for p in PAGES if pages.name(p) not in RUN_BY_THEIR_OWN_TEST], ids=pages.name)
def test_runs_that_are_shown_are_configured(page, configure: Callable, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    shown = write_shown_files(page, tmp_path)
    for words in pages.commands(page, *MMF_COMMANDS):
        kept = [shown.get(word, word) for word in words[1:] if not word.startswith(GOES_ON)]
        goes_on = ["checkpoint.resume_file=best.ckpt"] if len(kept) < len(words) - 1 else []
        configuration = configure(*kept, *goes_on)
        assert configuration.get_config().model == "visualbert"
    for text in pages.mentions(page):
        for config in re.findall(r"\bconfig=(projects/\S+\.yaml)", text):
            for path in pages.braces(config):
                assert "<" in path or (ROOT / path).is_file(), path


@pytest.mark.parametrize("path", sorted((ROOT / "projects").rglob("*.yaml")), ids=lambda path: path.name)
def test_commands_in_the_comments_of_a_yaml_exist(path):
    comments = " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
    for command, rest in re.findall(r"\bvisualbert ([a-z-]+)([^,.;)`]*)", comments):
        check_mention([command, *rest.split()])
    for task, variant in re.findall(r"--task (\w+) --variant (\w+)", comments):
        make_plan(task, variant, "paper")


def test_commands_that_the_code_tells_of_exist():
    sources = sorted((ROOT / "mmf_visualbert").rglob("*.py"))
    told = {
        match
        for path in sources
        for match in re.findall(r"(?:run|with|:|`|see|give:) ?visualbert ([a-z][a-z-]*)", path.read_text())
    }
    assert told and told <= set(COMMANDS), told - set(COMMANDS)
