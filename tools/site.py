"""The documentation as a site: python tools/site.py [OUT]

Needs `pip install -e ".[site]"`. The pages are those of the repository, staged side by side; a link to a file that is
no page becomes its name. Warnings, broken links among them, are errors.
"""

import argparse
import re
import shutil
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)\[([^\]]+)\]\(([^)#\s]*)(#[^)\s]*)?\)")
API = {
    "VisualBERT from Python": ["mmf_visualbert.pretrained.model"],
    "Contracts of parts": ["mmf_visualbert.contracts", "mmf_visualbert.catalog"],
    "Region features": ["mmf_visualbert.features.store", "mmf_visualbert.features.records"],
    "The model": [
        "mmf_visualbert.modules.visual_bert",
        "mmf_visualbert.modules.embeddings",
        "mmf_visualbert.modules.encoder",
    ],
}


def pages() -> dict[Path, str]:
    """Each page's file, and its place in the site."""
    found = {ROOT / "README.md": "index.md"}
    found |= {ROOT / name: name.lower() for name in ("CONTRIBUTING.md", "CHANGELOG.md")}
    found |= {path: path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))}
    tasks = sorted((ROOT / "mmf_visualbert" / "tasks").glob("[a-z]*/README.md"))
    return found | {path: f"tasks/{path.parent.name}.md" for path in tasks}


def staged(path: Path, places: dict[Path, str]) -> str:
    """A page's text with its links as they are in the site."""
    above = "../" * places[path].count("/")

    def link(found: re.Match[str]) -> str:
        picture, text, target, part = found.groups()
        if not target or ":" in target:
            return found[0]
        file = (path.parent / target).resolve()
        if file in places:
            return f"{picture}[{text}]({above}{places[file]}{part or ''})"
        if not file.exists():
            raise SystemExit(f"{path.relative_to(ROOT)} links to {target}, which is not there")
        inside = file.is_relative_to(ROOT / "docs")
        return (
            f"{picture}[{text}]({above}{file.relative_to(ROOT / 'docs')})"
            if inside
            else f"{text} (`{file.relative_to(ROOT)}`)"
        )

    return LINK.sub(link, path.read_text(encoding="utf-8"))


def stage(folder: Path) -> None:
    """Writes all pages, those of the API and the pictures, and the site's configuration."""
    places = pages()
    for path, place in places.items():
        (folder / "pages" / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pages" / place).write_text(staged(path, places), encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "images", folder / "pages" / "images", dirs_exist_ok=True)
    (folder / "pages" / "api").mkdir()
    for title, modules in API.items():
        text = f"# {title}\n\n" + "\n".join(f"::: {module}\n" for module in modules)
        (folder / "pages" / "api" / f"{title.lower().replace(' ', '-')}.md").write_text(text, encoding="utf-8")
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    settings["plugins"][1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT)]
    (folder / "mkdocs.yml").write_text(yaml.safe_dump({**settings, "docs_dir": "pages"}), encoding="utf-8")


def build(out: Path) -> None:
    """Builds the site.

    Raises:
        Abort: of mkdocs, for any warning.
    """
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        build_site(load_config(str(Path(folder) / "mkdocs.yml"), site_dir=str(out.resolve()), strict=True))


def main() -> None:
    """Builds what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, default=ROOT / "site", help="folder of the site (%(default)s)")
    build(parser.parse_args().out)


if __name__ == "__main__":
    main()
