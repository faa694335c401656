"""The command `visualbert`: what it lists, what it imports, what it says to a wrong word."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mmf_visualbert
from mmf_visualbert.cli import main

FOLDER = Path(main.__file__).parent
NESTED = [
    ("features", "build"),
    ("features", "convert"),
    ("features", "merge"),
    ("features", "info"),
    ("features", "check"),
    ("convert", "from"),
    ("convert", "to"),
    ("submission", "check"),
    ("submission", "write"),
    ("analyze", "entity"),
    ("analyze", "syntax"),
    ("analyze", "ablation"),
    ("analyze", "foils"),
    ("analyze", "relevance"),
    ("benchmark", "train"),
    ("benchmark", "infer"),
    ("benchmark", "features"),
    ("benchmark", "extract"),
    ("benchmark", "samples"),
    ("benchmark", "analysis"),
    ("vcr", "features"),
    ("vcr", "leaderboard"),
    ("vcr", "leaderboard", "predict"),
    ("vcr", "leaderboard", "merge"),
]


def test_every_command_is_listed_with_a_line(capsys):
    assert main.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, summary in main.COMMANDS.items():
        assert [line for line in lines if line.split() == [name, *summary.split()]], name
    assert max(map(len, lines)) <= 120


def test_every_file_is_a_command_or_a_part_of_one():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "main"}
    commands = {name.replace("-", "_") for name in main.COMMANDS}
    assert commands <= files
    assert all(any(file.startswith(f"{name}_") for name in commands) for file in files - commands)


@pytest.mark.parametrize("words", [*((name,) for name in main.COMMANDS), *NESTED], ids=" ".join)
def test_help(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main([*words, "--help"])
    assert stop.value.code == 0
    out, error = capsys.readouterr()
    assert out.startswith(f"usage: visualbert {' '.join(words)} ") and error == ""
    if len(words) == 1:  # it shows how it is called, and by no other name
        assert f"\nvisualbert {words[0]}" in out and "tools/" not in out


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in main.COMMANDS)], ids=" ".join)
def test_help_needs_no_torch(words):
    script = (
        "import sys\nfrom mmf_visualbert.cli.main import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "loaded = [name for name in ('torch', 'transformers', 'mmf') if name in sys.modules]\n"
        "sys.exit(f'--help imported {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_a_command_the_list_goes_to_the_error_output(capsys):
    assert main.main([]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error == main.overview()


@pytest.mark.parametrize(
    ("word", "says"),
    [("feature", "(did you mean 'features'?)"), ("train", "choose one of install-mmf, doctor, sample-data")],
)
def test_a_wrong_word_is_one_sentence(word, says, capsys):
    assert main.main([word, "--out", "x"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"visualbert: error: there is no command '{word}'") and says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sample-data"], "visualbert sample-data: error: the following arguments are required: --out"),
        (["features", "info"], "visualbert features info: error: the following arguments are required: store"),
        (["predict", "--colour", "red"], "visualbert predict: error: "),
        (["vcr"], "visualbert vcr: error: "),
    ],
)
def test_a_wrong_command_line_is_one_line(words, says, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main(words)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(says) and error.count("\n") == 1 and "--help" in error


def test_bad_input_is_one_sentence_under_the_name_of_the_command(tmp_path, capsys):
    assert main.main(["features", "info", str(tmp_path / "none.lmdb")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("visualbert features: error: ") and "none.lmdb" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["samples", "--rounds", "0"], "--rounds is 0; set it to 1 or more"),
        (["samples", "--regions", "-3"], "--regions is -3; set it to 1 or more"),
        (["train", "--rounds", "-1"], "--rounds is -1; set it to 0 or more"),
    ],
)
def test_a_benchmark_of_nothing_is_refused(words, says, capsys):
    assert main.main(["benchmark", *words]) == 2
    assert says in capsys.readouterr().err


def test_version(capsys):
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"mmf_visualbert {mmf_visualbert.__version__}\n"


def test_as_a_module(start):
    done = start("python", "-m", "mmf_visualbert", "doctor", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: visualbert doctor ")


def test_nothing_that_people_read_names_a_script_of_the_checkout():
    """Who installed the wheel has no folder tools/; who has a checkout has the command too."""
    root = FOLDER.parents[1]
    texts = [path for room in ("mmf_visualbert", "projects") for path in (root / room).rglob("*.*")]
    for path in [root / "README.md", *root.glob("docs/*.md"), *texts]:
        if path.suffix in (".py", ".yaml", ".md"):
            named = re.findall(r"\btools/\w+\.py", path.read_text(encoding="utf-8"))
            assert not named, f"{path} names {named[0]}"
