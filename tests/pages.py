"""The repository's pages, read: their blocks, headings, links and what stands in backticks."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HEREDOC = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (.+) -->")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page: its language ("" where none is named), its text, its first line's number."""

    language: str
    text: str
    line: int


def pages() -> list[Path]:
    """Every page of the repository, without what is made in it."""
    folders = (ROOT, *(ROOT / name for name in ("docs", "mmf_visualbert", "projects", "tests", "benchmarks", "tools")))
    found = {path for folder in folders for path in (folder.glob if folder == ROOT else folder.rglob)("*.md")}
    return sorted(found)


def name(page: Path) -> str:
    """Its path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page, those of some languages alone where any are named."""
    text = page.read_text(encoding="utf-8")
    found = [Block(m[1], m[2], text[: m.start()].count("\n") + 2) for m in FENCE.finditer(text)]
    return [block for block in found if not languages or block.language in languages]


def why_not_run(page: Path, block: Block) -> str:
    """What the comment on the line above a block says of why no test runs it; "" where there is none."""
    above = page.read_text(encoding="utf-8").splitlines()[block.line - 3] if block.line > 2 else ""
    found = NOT_RUN.fullmatch(above)
    return found[1] if found else ""


def prose(page: Path) -> str:
    """A page without its blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def section(page: Path, heading: str) -> list[Block]:
    """The shell blocks below a heading, down to the next one of its kind or above."""
    level = len(heading) - len(heading.lstrip("#"))
    lines = page.read_text(encoding="utf-8").splitlines()
    start = lines.index(heading) + 1
    inside, end = False, len(lines)
    for number, line in enumerate(lines[start:], start=start):
        inside ^= line.startswith("```")
        if not inside and re.match(rf"#{{1,{level}}} ", line):
            end = number
            break
    return [block for block in blocks(page, "bash") if start < block.line <= end]


def shell_lines(block: Block) -> list[list[str]]:
    """The words of each command of a block, its continuation lines joined and its inserted files left out."""
    text = HEREDOC.sub("", block.text).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def commands(page: Path, *programs: str) -> list[list[str]]:
    """The words of each command of a page's blocks that begins with one of these programs."""
    lines = itertools.chain.from_iterable(shell_lines(block) for block in blocks(page, "bash"))
    return [words for words in lines if words[0] in programs]


def mentions(page: Path) -> list[str]:
    """What stands in backticks in a page's running text, on one line each."""
    return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", prose(page))]


def slugs(page: Path) -> set[str]:
    """What links call a page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def braces(text: str) -> Iterator[str]:
    """`a{b,c}d` as a shell takes it: abd, acd."""
    found = re.search(r"\{([^{}]*)\}", text)
    if found is None:
        yield text
        return
    for choice in found[1].split(","):
        yield from braces(text[: found.start()] + choice + text[found.end() :])
