#!/usr/bin/env bash
# Expected: a patch after which the bug's own test passes and no test fails resolves an instance of SWE-bench. What
# happens (swebench 5.0.2, its parser `parse_log_pytest`): it knows the outcomes PASSED, FAILED, ERROR, SKIPPED and XFAIL.
# A test that is marked as expected to fail can be among those that have to pass still, as XFAIL counts as passed. Where a
# patch mends what that test waited for, pytest says XPASS, which the parser does not know: the test is missing, a missing
# test has failed, and the instance is unresolved. The same goes for a test that is skipped now: the package has a rule
# that this is no regression, which never applies here, as pytest's line of skipped tests names a place in a file and no
# test. Concerns whoever compares agents by such verdicts, or trains on them as rewards: mending more than the reference
# did is punished.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pytest==9.2.0
"$folder/venv/bin/pip" install -q --no-deps swebench==5.0.2 unidiff==1.0.1
cd "$folder"
venv/bin/python - 2>log <<'PY' || { grep -E '^(changed|[A-Za-z]*Error)' log || tail -n 3 log; exit 1; }
import importlib.util
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path

place = Path(importlib.util.find_spec("swebench").origin).parent
for name in ("swebench", "swebench.harness"):  # grading needs none of what these import: clients of clouds and hubs
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(place.joinpath(*name.split(".")[1:]))]
from swebench.harness import constants, grading
from swebench.types import TestSpec

TESTS = '''
import pytest

MENDED = {mended}

def test_bug():
    assert True  # what the patch was to mend

@pytest.mark.xfail(reason="rounding is wrong, too")
def test_rounding():
    assert MENDED

def test_cache():
    if MENDED:
        pytest.skip("there is no cache any more")
'''


def report(mended):
    """What pytest says, and the verdict on it, of a patch that mends the bug alone or more than that."""
    Path("test_sums.py").write_text(TESTS.format(mended=mended))
    ran = subprocess.run([sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider"], capture_output=True, text=True)
    parts = (constants.START_TEST_OUTPUT, ran.stdout, constants.END_TEST_OUTPUT, f"{constants.TEST_EXIT_CODE}: {ran.returncode}")
    Path("tests.log").write_text("\n".join(parts))
    kept = ["test_sums.py::test_rounding", "test_sums.py::test_cache"]
    bug = ["test_sums.py::test_bug"]
    spec = TestSpec("a__b-1", "", [], "a/b", "1", bug, kept, "parse_log_pytest", constants.EvalType.PASS_AND_FAIL)
    prediction = {"instance_id": "a__b-1", "model_name_or_path": "m", "model_patch": "a patch"}
    found = grading.get_eval_report(spec, prediction, "tests.log", True)["a__b-1"]
    failed = found["tests_status"]["PASS_TO_PASS"]["failure"]
    print(ran.stdout.strip().splitlines()[-1].strip("= "), f"exit code {ran.returncode}", sep=", ")
    print(f"  resolved: {found['resolved']}, failed among those that have to pass still: {failed}")
    return found["resolved"], failed


print("swebench", version("swebench"), "with pytest", version("pytest"))
print("its rule for tests that have to pass still, of one that is SKIPPED:", grading.test_maintained("t", {"t": "SKIPPED"}))
if not grading.test_maintained("t", {"t": "SKIPPED"}):
    raise SystemExit("changed: a skipped test is a regression by its rule, too")
if report(mended=False) != (True, []):
    raise SystemExit("changed: a test that fails as expected no longer counts as one that passes")
if report(mended=True) != (False, ["test_sums.py::test_rounding", "test_sums.py::test_cache"]):
    raise SystemExit("changed: another verdict on a test that passes unexpectedly or is skipped")
PY
echo "as described"
