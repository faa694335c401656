"""Yaml files and what they include: as MMF reads them, whoever asks."""

import pytest
from omegaconf import OmegaConf

from mmf_visualbert.errors import InputError
from mmf_visualbert.places import project_configs
from mmf_visualbert.yaml_config import container, read_yaml


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "run.yaml"


def test_includes_come_first_and_in_their_order(tmp_path):
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", inner="a: 1\nb: {x: 1, y: 1}\nc: 1\n", second="b: {y: 2}\nc: 2\n")
    write(tmp_path / "below", first="includes: [./inner.yaml]\nc: 3\n")
    path = write(tmp_path, run="includes: [below/first.yaml, below/second.yaml]\nd: ${a}\n")
    read = read_yaml(path)
    assert container(read.config) == {"a": 1, "b": {"x": 1, "y": 2}, "c": 2, "d": 1}
    assert [file.name for file in read.files] == ["run.yaml", "first.yaml", "inner.yaml", "second.yaml"]


@pytest.mark.parametrize("name", ["vqa2/defaults.yaml", "vcr/rationale.yaml", "table/choice.yaml"])
def test_every_file_is_merged_as_mmf_merges_it(name):
    from mmf.utils.configuration import load_yaml

    path = project_configs() / name
    assert container(read_yaml(path).config, resolve=False) == container(load_yaml(str(path)), resolve=False)


def test_a_section_set_to_null_by_one_include_is_filled_as_mmf_fills_it(tmp_path):
    from mmf.utils.configuration import load_yaml

    write(tmp_path, one="a: {x: 1}\n", base="a: null\n", two="includes: [base.yaml]\na: {y: 2}\n")
    path = write(tmp_path, run="includes: [one.yaml, two.yaml]\n")
    assert container(read_yaml(path).config) == container(load_yaml(str(path))) == {"a": {"x": 1, "y": 2}}


def test_files_of_the_project_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, run="includes: [projects/visualbert/configs/vqa2/defaults.yaml]\n")
    assert read_yaml(path).config.datasets == "visualbert_vqa2"


def test_mmfs_own_files_are_found(tmp_path):
    path = write(tmp_path, run="includes: [configs/defaults.yaml]\n")
    assert OmegaConf.select(read_yaml(path).config, "training.trainer") is not None


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"run": "includes: [./run.yaml]\n"}, r"run.yaml includes itself \(run.yaml -> run.yaml\); take"),
        (
            {"run": "includes: [a.yaml]\n", "a": "includes: [b.yaml]\n", "b": "includes: [a.yaml]\n"},
            r"a.yaml includes itself \(a.yaml -> b.yaml -> a.yaml\)",
        ),
        ({"run": "includes: a.yaml\n", "a": "a: 1\n"}, "run.yaml has includes: a.yaml; write a list"),
        ({"run": "includes:\n"}, "run.yaml has includes: None; write a list"),
        ({"run": "includes: [a.yaml]\n"}, "a.yaml does not exist; .*run.yaml includes it"),
        ({"run": "includes: [a.yaml]\n", "a": "a: [\n"}, "a.yaml is not readable as yaml"),
        ({"run": "- 1\n"}, "run.yaml is not readable as yaml"),
        ({"a": ""}, "run.yaml does not exist"),
    ],
)
def test_faults_are_one_sentence(tmp_path, files, says):
    path = write(tmp_path, **files)
    with pytest.raises(InputError, match=says):
        read_yaml(path)


def test_a_file_may_be_included_twice(tmp_path):
    files = {"base": "a: 1\n", "one": "includes: [base.yaml]\n", "two": "includes: [base.yaml]\n"}
    path = write(tmp_path, run="includes: [one.yaml, two.yaml]\n", **files)
    assert container(read_yaml(path).config) == {"a": 1}


def test_aliases_that_stand_for_too_much_are_refused(tmp_path):
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("\n".join(levels) + "\n")
    with pytest.raises(InputError, match=r"bomb\.yaml stands for more than 1,000,000 values by its aliases"):
        read_yaml(tmp_path / "bomb.yaml")
    (tmp_path / "loop.yaml").write_text("a: &a [1, *a]\n")
    with pytest.raises(InputError, match=r"loop\.yaml stands for more"):
        read_yaml(tmp_path / "loop.yaml")
    (tmp_path / "few.yaml").write_text("a: &a {x: 1}\nb: *a\n")
    assert read_yaml(tmp_path / "few.yaml").config.b.x == 1
