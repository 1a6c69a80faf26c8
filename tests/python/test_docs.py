"""docs/embedding-python.md: its examples run, and have types."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/embedding-python.md"


def program() -> str:
    """Return the examples of the page as one program, each on the lines where it stands there."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    lines = [""] * len(page.splitlines())
    for example in re.finditer(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        first = page.count("\n", 0, example.start(1))
        code = example[1].splitlines()
        lines[first : first + len(code)] = code
    return "\n".join(lines)


def test_the_examples_run() -> None:
    code = program()
    assert code.count("assert ") > 8
    exec(compile(code, PAGE, "exec"), {"__name__": "__main__"})


def test_the_examples_have_types(tmp_path: Path) -> None:
    path = tmp_path / "embedding_python.py"
    path.write_text(program(), encoding="utf-8")
    mypy = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(ROOT / "target/python/mypy-examples"),
        str(path),
    ]
    checked = subprocess.run(mypy, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert checked.returncode == 0, checked.stdout
