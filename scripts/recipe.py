"""Two releases of a package -> a recipe of an instance, as TOML.

    python scripts/recipe.py sqlparse 0.5.1 0.5.2 --repo andialbrecht/sqlparse

Finds the archives and their hashes, pins what is installed, runs the changed test files of the fixed release on both
releases, and prints the tests that tell them apart; the fix goes to stderr. The problem statement is for a person to
write, from what the fix changes, in words of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from lbi.benchmarks.swebench.build import Built, build
from lbi.benchmarks.swebench.grade import run_tests
from lbi.benchmarks.swebench.interpreters import interpreter
from lbi.benchmarks.swebench.patches import changed, is_test
from lbi.benchmarks.swebench.recipes import Recipe, Release
from lbi.benchmarks.swebench.sdists import locate, unpacked, uv
from lbi.errors import LbiError


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("package")
    asked.add_argument("base")
    asked.add_argument("fixed")
    asked.add_argument("--repo", required=True)
    asked.add_argument("--source", default="")
    asked.add_argument("--with", dest="more", action="append", default=[])
    asked.add_argument("--tests", action="append", default=[])
    given = asked.parse_args()
    try:
        print(asyncio.run(recipe(given)))
    except LbiError as error:
        print(f"recipe: {error}", file=sys.stderr)
        return 2
    return 0


async def recipe(given: argparse.Namespace) -> str:
    releases = {name: release(given.package, getattr(given, name)) for name in ("base", "fixed")}
    trees = [unpacked(given.package, each.version, each.sha256) for each in releases.values()]
    runnable = [
        path for path in changed(*trees) if is_test(path) and path.endswith(".py") and (trees[1] / path).is_file()
    ]
    tests = given.tests or [path for path in runnable if path.rpartition("/")[2].startswith("test")]
    draft = Recipe(
        name=f"{given.repo.replace('/', '__')}-{given.fixed}",
        package=given.package,
        repo=given.repo,
        source=given.source,
        problem="TODO",
        tests=tuple(tests),
        requirements=pinned(given.package, given.base, ["pytest", *given.more]),
        fail_to_pass=("TODO",),
        pass_to_pass=(),
        **releases,
    )
    built = build(draft)
    had = await outcomes(built, "")
    passed = [name for name, outcome in (await outcomes(built, built.instance.patch)).items() if outcome == "passed"]
    fail = [name for name in passed if had.get(name) != "passed"]
    keep = [name for name in passed if had.get(name) == "passed"]
    print(f"{len(fail)} fail to pass, {len(keep)} pass to pass", file=sys.stderr)
    print(built.instance.patch, file=sys.stderr)
    return toml(draft.model_copy(update={"fail_to_pass": tuple(fail), "pass_to_pass": tuple(keep)}))


async def outcomes(built: Built, patch: str) -> dict[str, str]:
    """Of two runs, those tests that came to the same: a test that depends on chance is none of an instance's."""
    one, other = await run_tests(built, patch), await run_tests(built, patch)
    if not one.outcomes:
        print(one.log[-2000:], file=sys.stderr)
    return {name: outcome for name, outcome in one.outcomes.items() if other.outcomes.get(name) == outcome}


def release(package: str, version: str) -> Release:
    found = locate(package, version)
    return Release(version=version, sha256=found.sha256, date=found.date)


def pinned(package: str, version: str, names: list[str]) -> tuple[str, ...]:
    """Exact versions of all that is installed for these requirements, without the package itself."""
    folder = interpreter([f"{package}=={version}", *names])
    lines = uv("pip", "freeze", "--python", str(folder / "bin" / "python"), what="listing what is installed").split()
    return tuple(line for line in lines if line.partition("==")[0].lower().replace("_", "-") != package)


def toml(recipe: Recipe) -> str:
    said = recipe.model_dump(mode="json")
    lines = ["[[instance]]"]
    for key in ("name", "package", "repo", "source"):
        lines += [f"{key} = {json.dumps(said[key])}"] if said[key] else []
    for key in ("base", "fixed"):
        lines.append(
            f"{key} = {{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in said[key].items()) + " }"
        )
    lines.append("problem = '''\nTODO\n'''")
    for key in ("tests", "requirements", "fail_to_pass", "pass_to_pass"):
        lines.append(f"{key} = [\n" + folded(said[key]) + "]")
    return "\n".join(lines) + "\n"


def folded(values: list[str], width: int = 118) -> str:
    lines, line = [], ""
    for value in values:
        part = json.dumps(value, ensure_ascii=False) + ","
        if line and len(line) + len(part) + 3 > width:
            lines.append(line)
            line = ""
        line = f"{line} {part}" if line else f"  {part}"
    return "\n".join([*lines, line]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
