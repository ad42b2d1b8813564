"""When a desktop is at rest: what was told is done, also by a thread, after a while, and on a busy machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
import pytest_asyncio

from lbi.environments.desktop.application import Program, load_desktop
from lbi.environments.desktop.environment import DesktopEnvironment, DesktopEnvironments
from lbi.environments.desktop.inside import activity
from lbi.records import Check, Task
from needs_desktop import needs_desktop

pytestmark = [*needs_desktop, pytest.mark.asyncio(loop_scope="module")]

CORE = min(os.sched_getaffinity(0))
RIVALS = 4  # that want the same core
#: GTK's own library, as the desktop's Python has no other way to it: a key begins a computation, which opens a dialog
LATE = f"""
import ctypes, os, threading, time
gtk = ctypes.CDLL("libgtk-3.so.0")
gtk.gtk_window_new.restype = gtk.gtk_entry_new.restype = ctypes.c_void_p
CALLED = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
LATER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
os.sched_setaffinity(0, [{CORE}])

def window(title, *inside):
    made = ctypes.c_void_p(gtk.gtk_window_new(0))
    gtk.gtk_window_set_title(made, title)
    for each in inside:
        gtk.gtk_container_add(made, each)
    gtk.gtk_widget_show_all(made)

@LATER
def opened(nothing):
    window(b"the result")
    return 0

def compute():
    while time.thread_time() < 0.7:
        pass
    gtk.gdk_threads_add_idle(opened, None)

@CALLED
def pressed(*told):
    threading.Thread(target=compute).start()
    return 0

gtk.gtk_init(None, None)
entry = ctypes.c_void_p(gtk.gtk_entry_new())
gtk.g_signal_connect_data(entry, b"activate", pressed, None, None, 0)
window(b"the question", entry)
gtk.gtk_main()
"""
#: a program that wants all of a core, and how long a second and a half is for it
COUNTED = """
import select, subprocess, sys, time
sys.path.insert(0, "/run/desktop")
from inside.activity import Activity
code = "import os; os.sched_setaffinity(0, [%d])\\nwhile True: pass" % int(sys.argv[1])
started = subprocess.Popen(["python3", "-c", code])
time.sleep(0.3)
seen, began = Activity(), time.monotonic()
while time.monotonic() - began < 1.5:
    select.select([], [], [], 0.025)
    seen.look()
assert seen.works and started.pid in seen.processes
print(seen.spent)
started.kill()
"""
#: what goes on by itself, works longer than an action is waited for, and then writes a file
WRITES = """
import subprocess
code = 'import time\\nwhile time.process_time() < 3: pass\\nopen("late.txt", "w").write("done")'
subprocess.Popen(["python3", "-c", code], start_new_session=True)
"""


@contextlib.contextmanager
def rivals() -> Iterator[None]:
    """Programs that take the core from others, each with as much right to it."""
    code = f"import os; os.sched_setaffinity(0, [{CORE}])\nwhile True: pass"
    started = [subprocess.Popen([sys.executable, "-c", code], start_new_session=True) for _ in range(RIVALS)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desktop() -> AsyncIterator[DesktopEnvironment]:
    shipped = load_desktop("debian")
    programs = [each for each in shipped.program if each.name == "editor"]
    late = Program(name="late", command=("python3", "-c", LATE))
    environments = DesktopEnvironments(shipped.model_copy(update={"name": "small", "program": (*programs, late)}))
    yield await environments.open()
    await environments.close()


async def begun(desktop: DesktopEnvironment, start: str) -> None:
    await desktop.reset(Task(instruction="", environment="small", start_url=start))


async def test_a_dialog_that_a_thread_computes_on_a_busy_core_is_waited_for(desktop: DesktopEnvironment) -> None:
    await begun(desktop, "/late")
    with rivals():
        seen = (await desktop.step('press("Enter")')).observation
    assert seen.title == "the result"


async def test_what_a_key_presses_is_seen_once_it_is_done_and_not_while_its_button_is_shown_pressed(
    desktop: DesktopEnvironment,
) -> None:
    await begun(desktop, "/editor/Documents/todo.txt")
    await desktop.step('press("Control+Shift+s")')
    await desktop.step('press("Control+a")')  # of the name, which has the focus
    typed = (await desktop.step('type("other.txt")')).observation
    assert (typed.title, typed.error) == ("Save As", ""), typed.text
    seen = (await desktop.step('press("Enter")')).observation
    assert "other.txt" in seen.title, seen.text


async def test_what_goes_on_as_an_episode_ends_is_done_before_it_is_scored(desktop: DesktopEnvironment) -> None:
    await begun(desktop, "/editor/Documents/todo.txt")
    await desktop.step(f"python({WRITES!r})")
    await desktop.step('finish("")')
    check = Check(command=("grep", "-q", "done", "late.txt"))
    assert await desktop.score(Task(instruction="", environment="small", check=check), "") == (
        1.0,
        "every condition holds",
    )


async def test_what_changed_before_it_is_waited_for_is_a_change(desktop: DesktopEnvironment) -> None:
    await begun(desktop, "/editor/Documents/todo.txt")
    await desktop.session.ask("act", strokes=[["type", "more"]])
    assert (await desktop.session.ask("wait", seconds=0.5))["changed"]
    await desktop.look()
    assert not (await desktop.session.ask("wait", seconds=0.5))["changed"]


async def test_time_in_which_others_have_the_processor_is_not_the_desktop_s(desktop: DesktopEnvironment) -> None:
    await begun(desktop, "")
    with rivals():
        done = await desktop.session.ask("run", command=["python3", "-c", COUNTED, str(CORE)])
    assert done["exit_code"] == 0, done["output"]
    assert float(done["output"]) < 1.0, "seconds of 1.5, where a fifth of a core was to be had"


@pytest.mark.parametrize(
    ("state", "had", "waited", "counted"),
    [
        (b"R", [1.0], [0.0], 1.0),  # it is alone
        (b"R", [0.25], [0.75], 0.25),  # others have the processor
        (b"R", [0.0], [0.0], 1.0),  # it has only just begun to
        (b"R", [0.25, 0.25, 0.5], [0.75, 0.75, 0.5], 1.0),  # threads that wait for each other
        (b"R", [0.125, 0.125], [0.875, 0.875], 0.25),  # and for others too
        (b"D", [0.0], [0.0], 0.0),  # it waits for a disk
        (b"S", [0.0], [0.0], 1.0),  # it waits for time to pass
    ],
)
async def test_a_second_counts_as_far_as_programs_had_it(
    monkeypatch: pytest.MonkeyPatch, state: bytes, had: list[float], waited: list[float], counted: float
) -> None:
    clock = [100.0]
    tasks = {f"/proc/{number}/task/{number}": at for at, number in enumerate(range(20, 20 + len(had)))}
    monkeypatch.setattr(activity, "_threads", lambda: dict.fromkeys(tasks, state))
    monkeypatch.setattr(activity, "_times", lambda task: (clock[0] * had[tasks[task]], clock[0] * waited[tasks[task]]))
    monkeypatch.setattr(activity, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    seen = activity.Activity()
    clock[0] += 1.0
    seen.look()
    assert seen.spent == counted
    assert seen.works == (state != b"S")
    clock[0] += activity.LONGEST
    seen.look()
    assert seen.is_past(activity.LONGEST - 1), "the clock ends it all the same"
