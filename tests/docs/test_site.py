"""The site of the documentation builds without a warning, broken links among them."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; mkdocs's loggers stay as they were."""
    pytest.importorskip("mkdocs", reason='pip install -e ".[site]"')
    pytest.importorskip("mkdocstrings", reason='pip install -e ".[site]"')
    out = tmp_path_factory.mktemp("site")
    runpy.run_path(str(ROOT / "tools" / "site.py"))["build"](out)
    return out


def test_every_page_of_the_repository_is_a_page_of_the_site(site):
    for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "mmf_visualbert" / "tasks").glob("[a-z]*/README.md")]:
        page = site / path.stem if path.parent.name == "docs" else site / "tasks" / path.parent.name
        assert (page / "index.html").is_file(), path


def test_the_api_is_written_from_docstrings(site):
    text = (site / "api" / "visualbert-from-python" / "index.html").read_text()
    assert "from_pretrained" in text and "Which it is, is" in text


def test_a_broken_link_is_an_error(monkeypatch, tmp_path):
    tool = runpy.run_path(str(ROOT / "tools" / "site.py"))
    page = ROOT / "docs" / "data.md"
    with pytest.raises(SystemExit, match=r"links to nowhere\.md, which is not there"):
        monkeypatch.setattr(Path, "read_text", lambda self, encoding: "[x](nowhere.md)")
        tool["staged"](page, {page: "data.md"})
