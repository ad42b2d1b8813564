"""What an agent is told of a repository's files at first: each folder with its files, and never more than fits."""

from hypothesis import given
from hypothesis import strategies as st

from lbi.environments.shell.listing import listing

PACKAGE = ["pyproject.toml", "docs/index.rst", "docs/img/logo.png", "src/pkg/core.py", "src/pkg/util.py", "README.md"]


def test_each_folder_is_a_line_with_the_names_of_its_files() -> None:
    assert listing(PACKAGE) == [
        "./ README.md, pyproject.toml",
        "docs/ index.rst",
        "docs/img/ logo.png",
        "src/pkg/ core.py, util.py",
    ]


def test_code_is_named_where_there_is_more_of_everything_than_sixty_files() -> None:
    files = [*(f"docs/page{n}.rst" for n in range(60)), *(f"src/pkg/part{n}.py" for n in range(30))]
    assert "part29.py" in "\n".join(listing(files))


def test_without_room_the_deepest_folders_are_counted_above_them_until_the_rest_fits() -> None:
    files = [*PACKAGE, *(f"src/pkg/data/part{n}/file{m}.json" for n in range(20) for m in range(30))]
    lines = listing(files, 300)
    assert "src/pkg/ core.py, util.py, (600 files in folders not listed)" in lines
    assert len(lines) == len(listing(PACKAGE))
    assert any("part3/" in line for line in listing(files, 30_000))


def test_of_one_folder_with_thousands_the_first_are_named() -> None:
    lines = listing([f"file{n:04}.txt" for n in range(5_000)], 200)
    assert lines[0].startswith("./ file0000.txt, file0001.txt")
    assert lines[0].endswith("more)")
    assert len(lines) == 1
    assert len(lines[0]) < 240


_NAME = st.text("abc.-_ ", min_size=1, max_size=8)


@given(st.sets(st.lists(_NAME, min_size=1, max_size=5).map("/".join), max_size=60), st.integers(0, 400))
def test_no_file_is_lost_and_the_lines_fit(paths: set[str], room: int) -> None:
    lines = listing(paths, room)
    longest = 45  # the top folder's own line
    assert sum(len(line) + 1 for line in lines) <= max(room, 0) + longest or not paths
    if not any(line.endswith(("not listed)", "more)")) for line in lines):
        told = [
            f"{at}/{name}" for at, _, names in (line.partition("/ ") for line in lines) for name in names.split(", ")
        ]
        assert len(told) == len(paths)
