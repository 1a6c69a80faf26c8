"""docs/embedding-python.md: its examples run, and have types."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/embedding-python.md"


def examples() -> list[tuple[int, str]]:
    """Return the examples of the page, each with the number of lines above it."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    found = re.finditer(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [(page.count("\n", 0, example.start(1)), example[1]) for example in found]


def file_name(example: str) -> str | None:
    """Return the name of the file that an example is."""
    name = re.match(r"# (\w+\.py)\n", example)
    return None if name is None else name[1]


def program() -> str:
    """Return the examples of the page that are no files as one program, each on the lines where it stands there."""
    lines: list[str] = []
    for above, example in examples():
        if file_name(example) is None:
            lines.extend([""] * (above - len(lines)))
            lines.extend(example.splitlines())
    return "\n".join(lines)


def write_files(folder: Path) -> list[str]:
    """Write the files that the page has, and return their names."""
    files = {name: example for _, example in examples() if (name := file_name(example)) is not None}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return sorted(files)


def test_the_examples_run() -> None:
    code = program()
    assert code.count("assert ") > 8
    exec(compile(code, PAGE, "exec"), {"__name__": "__main__"})


HELPER = """
import helper
from obrolan import testing

def test_helper():
    with testing.Server() as srv, srv.run(helper.bot), srv.client("ann") as ann, srv.client("eve") as eve:
        srv.group("room", "ann", "helper")
        for typed, said in [("/greet Bob", "Hello Bob!"), ("/greet", "Whom?"), ("Eve", "Hello Eve!")]:
            ann.send("helper", typed)
            ann.expect(said)
        ann.send_group("room", "one two")
        assert ann.expect("2 words").group is None
        ann.send_file("helper", b"hi", name="hi.txt")
        assert ann.get_file(ann.expect("LOUD.txt").file) == b"HI"
        eve.send("helper", "/greet Eve")
        eve.expect_nothing()
"""


def test_the_files_are_tested_as_the_page_says(tmp_path: Path) -> None:
    assert write_files(tmp_path) == ["echo.py", "helper.py", "test_echo.py", "test_outage.py"]
    (tmp_path / "test_helper.py").write_text(HELPER, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path, check=False)
    assert (ran.returncode, "3 passed" in ran.stdout) == (0, True), ran.stdout


def test_the_examples_have_types(tmp_path: Path) -> None:
    path = tmp_path / "embedding_python.py"
    path.write_text(program(), encoding="utf-8")
    write_files(tmp_path)
    mypy = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(ROOT / "target/python/mypy-examples"),
        str(tmp_path),
    ]
    checked = subprocess.run(mypy, capture_output=True, text=True, timeout=600, cwd=tmp_path, check=False)
    assert checked.returncode == 0, checked.stdout
