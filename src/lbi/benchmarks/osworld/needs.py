"""What a task needs that is not here -> one line, or "" where it can be run. Reasons that are alike begin alike.

Read from the task's own file as far as that says it; what it does not say (that an instruction asks for something of
the internet) stands in a list, by the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbi.benchmarks.osworld.desktop import desktop_of_tasks
from lbi.benchmarks.osworld.evaluators import Evaluators
from lbi.benchmarks.osworld.places import Places
from lbi.benchmarks.osworld.setup import STEPS
from lbi.benchmarks.osworld.task import TaskFile
from lbi.environments.desktop.session import missing_packages
from lbi.sandbox.host import program

#: programs that tasks are about, by how they name them: what is started, and the package that brings it
PROGRAMS = {
    "google-chrome": ("chromium", "chromium"),
    "code": ("code", "code"),
    "thunderbird": ("thunderbird", "thunderbird"),
    "nautilus": ("nautilus", "nautilus"),
    "gimp": ("gimp", "gimp"),
    "vlc": ("vlc", "vlc"),
    "libreoffice-calc": ("localc", "libreoffice-calc"),
    "libreoffice-writer": ("lowriter", "libreoffice-writer"),
    "libreoffice-impress": ("loimpress", "libreoffice-impress"),
    "wmctrl": ("wmctrl", "wmctrl"),
    "zip": ("zip", "zip"),
    "unzip": ("unzip", "unzip"),
    "picard": ("picard", "picard"),
}
#: those of them that `scripts/setup.sh desktop` installs
INSTALLED = ("google-chrome", "libreoffice-impress", "wmctrl", "zip", "unzip")
#: what ``related_apps`` says for them, without blanks and marks
_APPS = {
    "chrome": "google-chrome",
    "vscode": "code",
    "vs_code": "code",
    "thunderbird": "thunderbird",
    "gimp": "gimp",
    "vlc": "vlc",
    "calc": "libreoffice-calc",
    "excel": "libreoffice-calc",
    "writer": "libreoffice-writer",
    "impress": "libreoffice-impress",
    "picard": "picard",
}
_LAUNCHED = re.compile(r"(?:^|[\s/;&])(google-chrome|code|thunderbird|nautilus|gimp|vlc|wmctrl|zip|unzip)(?=\s|$)")
_ACCOUNTS = {"googledrive": "Google Drive", "login": "a log-in", "googledrive_file": "Google Drive"}
_LIVE_GETTERS = frozenset({"info_from_website", "gotoRecreationPage_and_get_html_content", "page_info", "pdf_from_url"})
_INSTALLS = re.compile(
    r"\bapt(?:-get)? (?:install|update)|\bpip3? install (?!/)|--install-extension [\w-]+\.|git clone http"
)
_ADDRESS = re.compile(r"https?://([\w.-]+)")
_DEBUGGED = re.compile(
    r"(?:open_tabs|active_tab|active_tab_html|active_tab_url|url_path|url_dashPart|chrome_appearance|number_of_search).*"
)
#: what no private desktop has, by what tasks ask for it with
_ABSENT = (
    (re.compile(r"\bgsettings\b|org\.gnome\.|\bdconf\b|gnome-control"), "GNOME's settings"),
    (re.compile(r"\btimedatectl\b|\bsystemctl\b|\bloginctl\b"), "systemd"),
    (re.compile(r"\bpulseaudio\b|\bpactl\b|\bamixer\b"), "sound"),
    (re.compile(r"""['"]ctrl['"], ?['"]alt['"], ?['"]t['"]"""), "GNOME's key for a terminal"),
    (re.compile(r"gnome-terminal"), "GNOME's terminal"),
    (re.compile(r"\bgio trash\b"), "GNOME's wastebasket"),
    (re.compile(r"\buseradd\b|\bsu - |/home/test1|check_password"), "other users"),
)
_ABSENT_GETTERS = {
    "vm_wallpaper": "GNOME's wallpaper",
    "vm_window_size": "window sizes by class",
    "default_video_player": "a second player of films",
    "vlc_playing_info": "the player's own web server, reached from outside",
}
#: tasks whose instruction asks for something of the internet, which their file says in words only
_ASKS_INTERNET = {
    "94d95f96-9699-4208-98ba-3c3119edf9c2": "a program is to be installed",
    "e1fc0df3-c8b9-4ee7-864c-d0b590d3aa56": "an extension is to be installed",
    "f8369178-fafe-40c2-adc4-b9b08a125456": "a theme is to be installed",
    "48d05431-6cd5-4e76-82eb-12b60d823f7d": "conda is to be installed",
    "69acbb55-d945-4927-a87b-8480e1a5bb7e": "a package is to be installed",
    "26660ad1-6ebb-4f59-8cba-a8432dfe8d38": "the network's speed is to be measured",
}
MOST_TOLD = 2  # files that are named
POINTER = "a pointer of Git LFS is there: `git lfs pull` brings the file"


def packages() -> list[str]:
    """What is not installed of what its tasks start, by the names of Debian's packages."""
    started = [PROGRAMS[name] for name in INSTALLED]
    of_desktop = missing_packages(desktop_of_tasks())
    return list(dict.fromkeys([*of_desktop, *(package for name, package in started if program(name) is None)]))


def why_not(task: TaskFile, places: Places, evaluators: Evaluators) -> str:
    """The first thing that is lacking for good; files that the user can bring come last."""
    return next(_lacking(task, places, evaluators), "")


def missing_files(task: TaskFile, places: Places) -> list[str]:
    """Names of the files that no given folder has, and which of them are pointers only."""
    return [
        f"{name} ({POINTER})" if places.is_pointer(address, task.name) else name
        for address, name in task.downloads
        if places.file(address, task.name) is None
    ]


def _lacking(task: TaskFile, places: Places, evaluators: Evaluators) -> Iterator[str]:
    yield from _unknown(task, evaluators)
    yield from (f"needs an account: {what}" for what in _accounts(task))
    yield from (f"needs a live site: {what}" for what in _live(task))
    yield from (f"needs what no private desktop has: {what}" for what in _absent(task))
    yield from (f"needs a program that is not installed: {package}" for package in _programs(task))
    yield from _packages(task, evaluators)
    if missing := missing_files(task, places):
        more = f" and {len(missing) - MOST_TOLD} more" if len(missing) > MOST_TOLD else ""
        yield f"needs the file cache: {', '.join(missing[:MOST_TOLD])}{more}"


def _unknown(task: TaskFile, evaluators: Evaluators) -> Iterator[str]:
    wanted = [("metrics", name, "metric") for name in task.metrics]
    wanted += [("getters", f"get_{each.get('type')}", "getter") for each in task.looked_up]
    for kind, name, called in wanted:
        if not evaluators.module_of(kind, name):
            unread = f" ({evaluators.unreadable})" if evaluators.unreadable else ""
            yield f"unknown to these evaluators: the {called} {name.removeprefix('get_')}{unread}"
    for step in (*task.config, *task.postconfig):
        if step.type not in STEPS and step.type not in _ACCOUNTS and step.type not in _BROWSER_STEPS:
            yield f"unknown to these evaluators: the step {step.type}"


_BROWSER_STEPS = ("chrome_open_tabs", "chrome_close_tabs", "update_browse_history")


def _accounts(task: TaskFile) -> Iterator[str]:
    kinds = [step.type for step in (*task.config, *task.postconfig)] + [
        str(each.get("type")) for each in task.looked_up
    ]
    yield from (_ACCOUNTS[kind] for kind in kinds if kind in _ACCOUNTS)


def _live(task: TaskFile) -> Iterator[str]:
    if why := _ASKS_INTERNET.get(task.id):
        yield why
    if not task.infeasible:
        yield from _ADDRESS.findall(task.instruction)
    for step in (*task.config, *task.postconfig):
        for page in step.parameters.get("urls_to_open", ()):
            if str(page).startswith("http"):
                yield str(page).partition("://")[2].partition("/")[0] or str(page)
        if installs := _INSTALLS.search(step.commands):
            yield f"it runs {installs[0]}"
    yield from (str(each["type"]) for each in task.looked_up if each.get("type") in _LIVE_GETTERS)
    if task.proxy:
        yield "its file says so (proxy)"


def _absent(task: TaskFile) -> Iterator[str]:
    said = [step.commands for step in (*task.config, *task.postconfig)]
    said += [str(each.get("command", "")) for each in task.looked_up]
    for text in said:
        yield from (what for pattern, what in _ABSENT if pattern.search(text))
    for each in task.looked_up:
        kind = str(each.get("type"))
        if kind in _ABSENT_GETTERS:
            yield _ABSENT_GETTERS[kind]
        if _DEBUGGED.fullmatch(kind):
            yield "the browser's debugging port, reached from outside"
    steps = (*task.config, *task.postconfig)
    yield from ("the browser's debugging port, reached from outside" for s in steps if s.type in _BROWSER_STEPS)


def _programs(task: TaskFile) -> Iterator[str]:
    wanted = [
        name for app in task.related_apps for part, name in _APPS.items() if part in app.replace(" ", "_").lower()
    ]
    for step in (*task.config, *task.postconfig):
        wanted += _LAUNCHED.findall(step.commands) if "pyautogui" not in step.commands else []
    for name in dict.fromkeys(wanted):
        started, package = PROGRAMS[name]
        if program(started) is None:
            yield package


def _packages(task: TaskFile, evaluators: Evaluators) -> Iterator[str]:
    wanted = [("metrics", name) for name in task.metrics]
    wanted += [("getters", f"get_{each.get('type')}") for each in task.looked_up]
    for kind, name in wanted:
        if lacks := evaluators.lacks(kind, name):
            yield f"needs a package for its evaluator: {', '.join(lacks)} (for {name.removeprefix('get_')})"
