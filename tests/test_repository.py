"""Repositories as documents: the date of each file, and what is read of Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lbi.documents.corpus import DocumentSource, read_corpus
from lbi.documents.git_dates import file_dates
from lbi.documents.readers.python import read
from repository_with_tests import write_repository

WHO = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def commit(repository: Path, message: str, date: str) -> None:
    env = os.environ | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    subprocess.run(["git", *WHO, "commit", "-q", "-m", message], cwd=repository, check=True, env=env)


def test_a_file_is_of_the_date_of_its_last_commit(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    commit(repository, "first", "2023-01-02T03:04:05+00:00")
    (repository / "src" / "till.py").write_text("def mended() -> None: ...\n")
    (repository / "äpfel.md").write_text("Apples\n")
    commit(repository, "second", "2024-05-06T07:08:09+00:00")
    (repository / "README.md").write_text("changed since\n")
    (repository / "new.py").write_text("x = 1\n")
    dates = file_dates(repository)
    assert dates["tests/test_till.py"] == "2023-01-02T03:04:05+00:00"
    assert dates["src/till.py"] == dates["äpfel.md"] == "2024-05-06T07:08:09+00:00"
    assert not {"README.md", "new.py"} & dates.keys(), "what is not committed has no date"


def test_without_a_history_all_is_of_the_newest_file_that_has_a_real_date(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    for file, moment in (("README.md", 1_600_000_000), ("src/till.py", 1_700_000_000), ("pytest.ini", 1_580_601_600)):
        os.utime(repository / file, (moment, moment))
    os.utime(repository / "tests" / "test_till.py", (1_580_601_600, 1_580_601_600))  # 2020-02-02, made up
    assert set(file_dates(repository).values()) == {"2023-11-14T22:13:20+00:00"}


def test_a_repository_is_read_with_its_sources_and_the_names_of_its_tests(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    source = DocumentSource(path=str(repository), code=True, date="2024-01-01T00:00:00+00:00")
    documents = read_corpus([source]).documents
    by_source = {document.source: document for document in documents}
    assert set(by_source) == {"context/README.md", "context/src/till.py", "context/tests/test_till.py"}
    assert {document.date for document in documents} == {"2024-01-01T00:00:00+00:00"}
    price = next(document for document in documents if "def price(units: int, each: float) -> float" in document.text)
    assert "ten and more are cheaper" in price.text
    assert "- TestRefusal.test_negative" in by_source["context/tests/test_till.py"].text


def test_python_files_are_documents_only_where_that_is_said(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    assert {each.source for each in read_corpus([DocumentSource(path=str(repository))]).documents} == {
        "context/README.md"
    }
    with pytest.raises(ValueError, match="code = true"):
        DocumentSource(text="x", code=True)


def test_of_python_signatures_and_docstrings_are_read_and_nothing_private() -> None:
    page = read('"""Mod."""\nclass A(B):\n    """An A."""\n    async def f(self, x=1): ...\n    def _g(self): ...\n')
    text = "".join(section.text for section in page.sections)
    assert "class A(B)" in text
    assert "async def f(self, x=1)" in text
    assert "_g" not in text
    with pytest.raises(ValueError, match="line 1"):
        read("def f(:\n")
