"""How the house stands: the core knows no application by name, imports run one way, importing does nothing."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from lbi import plugins

PACKAGE = Path(str(importlib.util.find_spec("lbi").origin)).parent  # type: ignore[union-attr]
SOURCES = sorted(PACKAGE.rglob("*.py"))
SHIPPED = ("applications", "benchmarks")

#: a name of an application that is said elsewhere for a reason: {name: {file: (line pattern, reason)}}
EXCEPTIONS = {
    "trac": {
        "documents/readers/trac.py": (
            ".*",
            "the wiki markup is a document format, named after the program that it comes from",
        ),
    },
}
#: the only two places that may catch whatever comes: the command line, and the start of a driver that fails namelessly
CATCH_ALL = {"cli/base.py": 1, "environments/web/browser.py": 1}
#: folders of which one is picked by its name: a plug-in may import its own library at the top, as it is loaded then
PICKED = (
    "agents",
    "benchmarks",
    "documents/readers",
    "environments/desktop",
    "environments/repository",
    "environments/shell",
    "environments/tools",
    "environments/web",
    "interop/readers",
    "interop/server",
    "models/providers",
    "synthesis/filters",
)
#: what takes long to load and is wanted by one command or one plug-in only
HEAVY = {
    "anthropic",
    "bs4",
    "datasets",
    "detect_secrets",
    "docutils",
    "faiss",
    "genai_prices",
    "gguf",
    "huggingface_hub",
    "markdown_it",
    "mcp",
    "openai",
    "opentelemetry",
    "openvino",
    "openvino_genai",
    "peft",
    "playwright",
    "pyarrow",
    "ray",
    "safetensors",
    "sentence_transformers",
    "torch",
    "transformers",
    "trl",
    "xllamacpp",
}


def place(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def module_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(file): file for file in SOURCES}


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


# names


def shipped_names() -> set[str]:
    brought = {plug_in.name for plug_in in plugins.available("benchmarks").values() if plug_in.entry is None}
    return brought | {file.stem.lower() for folder in SHIPPED for file in (PACKAGE / folder).glob("*.toml")}


@cache
def mention_of(name: str) -> re.Pattern[str]:
    small, capital, upper = (re.escape(form) for form in (name, name.capitalize(), name.upper()))
    return re.compile(rf"(?<![A-Za-z])(?:(?:{small}|{capital})(?![a-z])|{upper}(?![A-Za-z]))")


def mentions(name: str, text: str) -> list[str]:
    """Lines that say a name as a word of its own or as a part of a compound: trac, TRAC, TracGuide, trac_url."""
    word = mention_of(name)
    if not word.search(text):
        return []
    return [line.strip() for line in text.splitlines() if word.search(line)]


def test_a_mention_is_found_in_compounds_and_not_in_other_words() -> None:
    assert all(mentions("trac", text) for text in ("trac", "a Trac's", "TracGuide", "trac_url", "TRAC", "my-trac"))
    assert not any(mentions("trac", text) for text in ("track", "extract", "contract", "TRACELESS"))


def test_the_core_names_no_application_and_no_benchmark() -> None:
    names = sorted(shipped_names())
    assert names, "no application is shipped, so this test would test nothing"
    found = []
    for file in sorted(PACKAGE.rglob("*")):
        if place(file).split("/")[0] in SHIPPED or file.suffix in (".pyc", ".png", ".woff2") or not file.is_file():
            continue
        text = file.read_text(encoding="utf-8")
        for name in names:
            allowed = EXCEPTIONS.get(name, {}).get(place(file), ("(?!)", ""))[0]
            found += [f"{place(file)}: {line}" for line in mentions(name, text) if not re.fullmatch(allowed, line)]
            found += [f"{place(file)}: the file's name"] if mentions(name, file.stem) and allowed != ".*" else []
    assert not found


def test_every_exception_is_still_needed() -> None:
    for name, files in EXCEPTIONS.items():
        for file, (pattern, _) in files.items():
            lines = mentions(name, (PACKAGE / file).read_text(encoding="utf-8"))
            assert any(re.fullmatch(pattern, line) for line in lines), f"{file} no longer says {name!r}"


# imports


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _nodes(tree: ast.AST, *, inside: bool) -> Iterator[ast.AST]:
    """All nodes that run, without those that only a type checker sees; functions' bodies only if ``inside``."""
    for child in ast.iter_child_nodes(tree):
        if _is_for_types(child) or (
            not inside and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ):
            continue
        yield child
        yield from _nodes(child, inside=inside)


def _names(node: ast.AST, package: str) -> Iterator[str]:
    """The modules that an import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            child = f"{base}.{alias.name}"
            yield child if child in MODULES else base


@cache
def imports_of(module: str, *, inside: bool = True) -> set[str]:
    file = MODULES[module]
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    nodes = _nodes(tree_of(file), inside=inside)
    return {name for node in nodes for name in _names(node, package)} - {module}


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    """A cycle as the list of its members, or an empty list."""
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        done.add(node)
        return next(filter(None, (visit(following, (*path, node)) for following in sorted(graph[node]))), [])

    return next(filter(None, (visit(node, ()) for node in sorted(graph))), [])


def test_a_cycle_is_found_where_there_is_one() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_module_imports_itself_over_others() -> None:
    # the package's own face imports what it offers when that is asked for, and whatever is imported imports it first
    inner = MODULES.keys() - {"lbi"}
    graph = {module: imports_of(module) & inner for module in inner}
    assert cycle_in(graph) == []


@pytest.mark.parametrize(
    ("module", "may"),
    [
        ("lbi.records", set()),
        ("lbi.errors", {"lbi.records"}),
        ("lbi.protocols", {"lbi.records"}),
        ("lbi.documents.sections", set()),
        ("lbi.evaluation.statistics", {"lbi.records"}),
        ("lbi.evaluation.contamination", {"lbi.records"}),
    ],
)
def test_what_everything_rests_on_rests_on_nothing_else(module: str, may: set[str]) -> None:
    assert imports_of(module) & MODULES.keys() <= may


def test_importing_the_package_alone_loads_nothing_of_it() -> None:
    code = "import lbi, sys; print([name for name in sys.modules if name.startswith('lbi.')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.strip() == "[]"


def test_nothing_imports_the_command_line() -> None:
    above = {module for module in MODULES if module.split(".")[1:2] == ["cli"] or module == "lbi.__main__"}
    assert not [module for module in MODULES.keys() - above if imports_of(module) & above]


def test_plug_ins_of_one_kind_do_not_know_those_of_another() -> None:
    """Agents, filters, models and readers meet environments in the pipeline and in the contracts, nowhere else."""
    kinds = {
        "lbi.agents",
        "lbi.synthesis.filters",
        "lbi.models.providers",
        "lbi.documents.readers",
        "lbi.environments.web",
        "lbi.environments.desktop",
        "lbi.environments.shell",
        "lbi.environments.repository",
        "lbi.environments.tools",
        "lbi.interop.readers",
    }
    # an instance of a repository with a bug is worked on in its shell
    hosts = {("lbi.environments.repository", "lbi.environments.shell")}

    def kind_of(module: str) -> str:
        return next((kind for kind in kinds if module == kind or module.startswith(f"{kind}.")), "")

    crossing = [
        (module, name)
        for module in MODULES
        for name in imports_of(module)
        if kind_of(module) and kind_of(name) and kind_of(module) != kind_of(name)
    ]
    assert not [pair for pair in crossing if (kind_of(pair[0]), kind_of(pair[1])) not in hosts]


def is_core(module: str) -> bool:
    """Whether a module is loaded whatever is picked: it lies in no folder of plug-ins, or is what opens these."""
    folder = MODULES[module].parent.relative_to(PACKAGE).as_posix()
    if folder == "cli/commands":  # signatures, loaded together
        return True
    if folder == "cli":  # of the commands one is picked, and some of them start a browser themselves
        return module.removeprefix("lbi.cli") in ("", ".app", ".base", ".parameters", ".list", ".options", ".errors")
    opens = MODULES[module].name == "__init__.py" and folder in PICKED and not folder.startswith("environments/")
    return opens or not any(folder == each or folder.startswith(f"{each}/") for each in PICKED)


def test_heavy_libraries_are_imported_where_they_are_used() -> None:
    """A plug-in may import its own library at the top: it is loaded when it is picked."""
    early = {
        module: found
        for module, file in MODULES.items()
        if is_core(module) and (found := {name.split(".")[0] for name in imports_of(module, inside=False)} & HEAVY)
    }
    assert not early


# processes

#: the only modules that start a process: the door, and the supervisor that it starts, for what is confined
DOORS = {
    "sandbox/host.py": "the door",
    "sandbox/supervisor/main.py": "a fork of the supervisor, where there are no namespaces",
    "sandbox/supervisor/shell.py": "the shell of a sandbox",
    "environments/desktop/inside/services.py": "the services of a desktop, in whose sandbox it runs",
    "environments/desktop/inside/programs.py": "the programs of a desktop, in the same",
    "sandbox/within.py": "the command of a check, in whose sandbox it runs",
    "sandbox/supervisor/layers.py": "a fork of the supervisor with another root",
}
_STARTERS = {
    *("os.system", "os.popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp", "os.startfile"),
    *(f"os.{kind}{how}" for kind in ("exec", "spawn") for how in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "subprocess", "multiprocessing", "pty"),
    *("asyncio.subprocess.create_subprocess_exec", "asyncio.subprocess.create_subprocess_shell", "pexpect", "commands"),
    *("concurrent.futures.ProcessPoolExecutor", "pdb", "loop.subprocess_exec", "loop.subprocess_shell"),
}


def starts_of_processes(tree: ast.Module) -> list[str]:
    """What a module imports or calls that starts a process."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in _STARTERS]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in names if name in _STARTERS or node.module.split(".")[0] in _STARTERS]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in _STARTERS:
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess",
        "from subprocess import run",
        "def f():\n    import subprocess as s",
        "from os import execv",
        "import os\nos.system('x')",
        "import asyncio\nasync def f(): await asyncio.create_subprocess_exec('x')",
        "from asyncio.subprocess import create_subprocess_exec",
        "from multiprocessing import Process",
    ],
)
def test_a_start_of_a_process_is_found(code: str) -> None:
    assert starts_of_processes(ast.parse(code))


def test_one_module_is_the_door_to_processes_of_this_machine() -> None:
    found = {place(file): starts for file in SOURCES if (starts := starts_of_processes(tree_of(file)))}
    assert found.keys() == DOORS.keys(), {name: found[name] for name in found.keys() - DOORS.keys()}


# errors


def catch_alls(file: Path) -> list[int]:
    """Lines that catch everything. A handler that ends in a bare ``raise`` cleans up and catches nothing."""
    lines = []
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.ExceptHandler):
            names = [
                ast.unparse(part)
                for part in (node.type.elts if isinstance(node.type, ast.Tuple) else [node.type] if node.type else [])
            ]
            broad = not names or {"Exception", "BaseException"} & set(names)
            last = node.body[-1]
            if broad and not (isinstance(last, ast.Raise) and last.exc is None):
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            lines += [node.lineno for part in node.args if ast.unparse(part) in ("Exception", "BaseException")]
    return lines


def test_everything_is_caught_in_two_places_only() -> None:
    found = {place(file): lines for file in SOURCES if (lines := catch_alls(file))}
    assert not {file: lines for file, lines in found.items() if len(lines) > CATCH_ALL.get(file, 0)}


# importing

WATCH = """
import importlib, io, os, sys

package = sys.argv[1]
seen = []

def caller():
    # the file of this package that did it itself, not one that only imports what did it
    frame = sys._getframe(2)
    while frame and not frame.f_code.co_filename.startswith(package):
        if "importlib" in frame.f_code.co_filename:
            return ""
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""

def watch(event, arguments):
    if event.split(".")[0] in ("open", "socket", "subprocess", "os", "shutil", "sqlite3", "tempfile", "signal"):
        place = caller()
        if place.startswith(package):
            seen.append(f"{event} {arguments[:1]} in {place[len(package):]}")

class Watched(dict):
    def _tell(self, key):
        frame = sys._getframe(2)
        while os.path.basename(frame.f_code.co_filename) in ("os.py", "_collections_abc.py"):
            frame = frame.f_back
        place = frame.f_code.co_filename  # a library that is asked to do something may look at its own variables
        if place.startswith(package):
            seen.append(f"environment variable {key} in {place[len(package):]}")
    def __getitem__(self, key):
        self._tell(key)
        return super().__getitem__(key)
    def get(self, key, default=None):
        self._tell(key)
        return super().get(key, default)
    def __contains__(self, key):
        self._tell(key)
        return super().__contains__(key)

os.environ = Watched(os.environ)
sys.addaudithook(watch)
for name in sys.argv[2:]:
    importlib.import_module(name)
for line in seen:
    print(line, file=sys.stderr)
sys.exit(bool(seen))
"""


def test_importing_prints_nothing_and_touches_neither_disk_nor_network_nor_environment() -> None:
    modules = [module for module in MODULES if not module.endswith("__main__")]
    command = [sys.executable, "-X", "utf8", "-c", WATCH, str(PACKAGE), *modules]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_the_core_loads_without_the_heavy_libraries() -> None:
    core = [module for module in MODULES if is_core(module) and not module.endswith("__main__")]
    code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code, *core], capture_output=True, text=True, timeout=120, check=True)
    loaded = HEAVY & set(ran.stdout.split())
    assert not loaded


SUPERVISOR = """
import importlib, pkgutil, sys

before = set(sys.modules)
sys.path.append(sys.argv[1])
import lbi.sandbox.supervisor as supervisor
for module in pkgutil.iter_modules(supervisor.__path__):
    importlib.import_module(f"{supervisor.__name__}.{module.name}")
print(*set(sys.modules) - before)
"""


def test_the_supervisor_of_a_sandbox_loads_the_standard_library_only() -> None:
    """It is started with -I -S, so nothing above it in the package may import anything that is installed."""
    command = [sys.executable, "-I", "-S", "-c", SUPERVISOR, str(PACKAGE.parent)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    loaded = set(ran.stdout.split())
    supervisor = {module for module in MODULES if module.startswith("lbi.sandbox.supervisor.")}
    assert supervisor, "the supervisor has moved, so this test would test nothing"
    assert supervisor <= loaded
    ours = {"lbi", "lbi.sandbox", "lbi.sandbox.beneath", "lbi.sandbox.supervisor"} | supervisor
    foreign = {name for name in loaded - ours if name.split(".")[0] not in sys.stdlib_module_names}
    assert not foreign
