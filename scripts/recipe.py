"""Writes the recipe of an instance, as TOML, from two releases of a package.

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package")
    parser.add_argument("base")
    parser.add_argument("fixed")
    parser.add_argument("--repo", required=True)
    parser.add_argument("--source", default="")
    parser.add_argument("--with", dest="more", action="append", default=[])
    parser.add_argument("--tests", action="append", default=[])
    options = parser.parse_args()
    try:
        print(asyncio.run(recipe(options)))
    except LbiError as error:
        print(f"recipe: {error}", file=sys.stderr)
        return 2
    return 0


async def recipe(options: argparse.Namespace) -> str:
    releases = {name: release(options.package, getattr(options, name)) for name in ("base", "fixed")}
    trees = [unpacked(options.package, one.version, one.sha256) for one in releases.values()]
    runnable = [
        path for path in changed(*trees) if is_test(path) and path.endswith(".py") and (trees[1] / path).is_file()
    ]
    tests = options.tests or [path for path in runnable if path.rpartition("/")[2].startswith("test")]
    draft = Recipe(
        name=f"{options.repo.replace('/', '__')}-{options.fixed}",
        package=options.package,
        repo=options.repo,
        source=options.source,
        problem="TODO",
        tests=tuple(tests),
        requirements=pinned(options.package, options.base, ["pytest", *options.more]),
        fail_to_pass=("TODO",),
        pass_to_pass=(),
        **releases,
    )
    built = build(draft)
    before = await stable_results(built, "")
    passed = [
        name for name, status in (await stable_results(built, built.instance.patch)).items() if status == "passed"
    ]
    fail_to_pass = [name for name in passed if before.get(name) != "passed"]
    pass_to_pass = [name for name in passed if before.get(name) == "passed"]
    print(f"{len(fail_to_pass)} fail to pass, {len(pass_to_pass)} pass to pass", file=sys.stderr)
    print(built.instance.patch, file=sys.stderr)
    return toml(draft.model_copy(update={"fail_to_pass": tuple(fail_to_pass), "pass_to_pass": tuple(pass_to_pass)}))


async def stable_results(built: Built, patch: str) -> dict[str, str]:
    """The results that are the same in two runs: a test that depends on chance does not belong to an instance."""
    first, second = await run_tests(built, patch), await run_tests(built, patch)
    if not first.results:
        print(first.log[-2000:], file=sys.stderr)
    return {name: status for name, status in first.results.items() if second.results.get(name) == status}


def release(package: str, version: str) -> Release:
    archive = locate(package, version)
    return Release(version=version, sha256=archive.sha256, date=archive.date)


def pinned(package: str, version: str, names: list[str]) -> tuple[str, ...]:
    """Exact versions of all that is installed for these requirements, without the package itself."""
    folder = interpreter([f"{package}=={version}", *names])
    lines = uv("pip", "freeze", "--python", str(folder / "bin" / "python"), action="listing what is installed").split()
    return tuple(line for line in lines if line.partition("==")[0].lower().replace("_", "-") != package)


def toml(recipe: Recipe) -> str:
    values = recipe.model_dump(mode="json")
    lines = ["[[instance]]"]
    for key in ("name", "package", "repo", "source"):
        lines += [f"{key} = {json.dumps(values[key])}"] if values[key] else []
    for key in ("base", "fixed"):
        lines.append(
            f"{key} = {{ " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in values[key].items()) + " }"
        )
    lines.append("problem = '''\nTODO\n'''")
    for key in ("tests", "requirements", "fail_to_pass", "pass_to_pass"):
        lines.append(f"{key} = [\n" + folded(values[key]) + "]")
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
