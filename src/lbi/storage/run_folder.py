"""The run folder: config, database of records and calls, images by hash. The only thing that remembers.

A record is a row under (kind, key), where the key says what work it is the outcome of ("m3f9/0": first attempt at task
m3f9). Success is a row; a classified failure is a row of its own; a kill leaves no row. Resuming is the set difference.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.storage.damage import DamagedRun, is_damage, refuse_an_empty_database
from lbi.storage.database import Store
from lbi.storage.files import write_atomically
from lbi.storage.images import Images, images_of
from lbi.storage.secrets import learn_usual, masked

__all__ = ["RunFolder", "Store", "write_atomically"]
LET_IN = 30.0  # seconds that a process which joins waits for the first one to be ready for it
Config = dict[str, Any]


class RunFolder:
    """One run on disk. Refuses a second process, and a config other than the one it was started with.

    ``config`` holds the parts of the resolved config that decide what the records mean; None = take it as it is. More
    roll-outs, held-out tasks or arms than before extend the run. ``complete`` gives a stored config the options that
    did not exist when it was written. With ``joining``, a second process is let in; it has to claim its work
    (`leases`).
    ``alone`` says whether this one is. ``images`` is the address at which a new run keeps its images; "" = here.
    """

    def __init__(
        self,
        path: Path,
        config: Config | None = None,
        *,
        writing: bool = True,
        joining: bool = False,
        complete: Callable[[Config], Config] = lambda stored: stored,
        images: str = "",
    ) -> None:
        learn_usual(os.environ)
        config = masked(config)
        self.path = path
        self.alone = True
        self._locks: list[int] = []
        self._opened_images: Images | None = None
        if not writing and path.is_dir():
            refuse_an_empty_database(path)
        if not writing and not (path / "run.db").is_file():
            raise UserError(f"no run in {path}: there is no run.db; `lbi run CONFIG --out {path}` makes one")
        try:
            path.mkdir(parents=True, exist_ok=True)
            if writing:
                self._take_lock(joining)
                refuse_an_empty_database(path)
            self.store = Store(path / "run.db", writing=writing)
            if config is not None:
                self._remember(config, complete)
            if images:
                self._opened_images = images_of(path, images)
        except OSError as error:
            self._release()
            raise UserError(
                f"cannot use the run folder {path}: {error.strerror or error}; make it writable or choose another --out"
            ) from error
        except sqlite3.Error as error:
            self._release()
            if is_damage(error):
                raise DamagedRun(path / "run.db", str(error)) from error
            raise UserError(
                f"cannot open {path / 'run.db'}: {error}; make room or make it writable, or choose another --out"
            ) from error
        except UserError:
            self._release()
            raise

    def _take_lock(self, joining: bool) -> None:
        """The first process holds ``lock``, those that join it share ``lock.joined``; a dead process holds nothing.

        Until the first one lets others in it holds ``lock.joined`` for itself.
        """
        first = self._locked("lock", fcntl.LOCK_EX)
        if first and self._locked("lock.joined", fcntl.LOCK_EX):
            return
        self.alone = False
        until = time.monotonic() + LET_IN
        while joining:
            if self._locked("lock.joined", fcntl.LOCK_SH):
                return
            joining = time.monotonic() < until
            time.sleep(0.1)
        raise UserError(
            f"the run folder {self.path} is in use by process {self._holder('lock.joined' if first else 'lock')}; "
            "wait for it, choose another --out, or work on it together with --join"
        )

    def let_in(self, *, joined: bool) -> None:
        """From now on others may join; ``joined`` says that this process would have joined them."""
        if self.alone:
            fcntl.flock(self._locks[-1], fcntl.LOCK_SH if joined else fcntl.LOCK_UN)

    def _locked(self, name: str, how: int) -> bool:
        lock = os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks.append(lock)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        return True

    def _holder(self, name: str) -> str:
        """Such as "4711 on myhost"."""
        return (self.path / name).read_text().strip()

    def _remember(self, config: Config, complete: Callable[[Config], Config]) -> None:
        file = self.path / "config.json"
        if not file.exists() or self.store.empty:  # a start that failed before its first record binds nobody
            write_atomically(file, _as_json(config))
            return
        stored = self.config
        before = complete(stored)
        self._refuse_another(before, config)
        self._refuse_less(before, config)
        self._refuse_other_arms(before, config)
        if _amount(config, "synthesis", "rollouts") > _amount(before, "synthesis", "rollouts"):
            self._set_results_aside(before)
        if stored != config:
            write_atomically(file, _as_json(config))

    def _refuse_another(self, before: Config, config: Config) -> None:
        old, new = _binding(before), _binding(config)
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        if changed:
            raise UserError(
                f"the run folder {self.path} belongs to another config (different: {', '.join(changed)}); "
                "choose another --out, or go back to that config to continue it"
            )

    def _refuse_less(self, before: Config, config: Config) -> None:
        for table, key in EXTENDABLE:
            old, new = _amount(before, table, key), _amount(config, table, key)
            if new < old:
                had = "all" if math.isinf(old) else f"{old:g}"
                raise UserError(
                    f"the run in {self.path} was made with {table}.{key} = {had}, and a run can be extended but not "
                    f"made smaller: ask for {had} or more instead of {new:g}, or choose another --out"
                )

    def _refuse_other_arms(self, before: Config, config: Config) -> None:
        """Arms may be added: what was measured of the others stays. None may be left out or become another."""
        arms = {arm["name"]: arm for arm in _arms(config)}
        for arm in _arms(before):
            if (now := arms.get(arm["name"])) != arm:
                what = "is another in this config" if now else "is not in this config"
                raise UserError(
                    f"the arm {arm['name']!r} of the run in {self.path} {what}; arms can be added to a run, and those "
                    "that it has stay as they are: name it as it was, or choose another --out"
                )
        # the part counts where an arm goes without it; a table that asks for it may come later than the run
        without = [arm["name"] for arm in _arms(before) if not arm.get("own_part", True)]
        if without and _part(before) != _part(config):
            raise UserError(
                f"the arm {without[0]!r} of the run in {self.path} was measured without the examples of "
                f"{', '.join(_part(before))}, and evaluation.part is now {', '.join(_part(config)) or 'empty'}; name "
                "it as it was, or choose another --out"
            )

    def _set_results_aside(self, before: Config) -> None:
        """Arms that learn from examples are measured anew with more of them; their old results stay, apart."""
        apart = f"of {_amount(before, 'synthesis', 'rollouts'):g} roll-outs"
        arms = [
            arm["name"]
            for arm in before["evaluation"]["arms"]
            if arm.get("skills") or arm.get("data", "none") != "none"
        ]

        def work(db: sqlite3.Connection) -> None:
            for arm in arms:
                for start in (f"{arm}/", f"{arm} @"):  # also on a share of its data
                    where = "kind IN ('result', 'episode') AND substr(key, 1, ?) = ?"
                    db.execute(
                        f"UPDATE OR REPLACE record SET kind = kind || ' ' || ? WHERE {where}",
                        (apart, len(start), start),
                    )

        self.store.write(work).wait()

    @property
    def config(self) -> dict[str, Any]:
        """Raises DamagedRun for a file that is no JSON object, and UserError for a run that has only just begun."""
        file = self.path / "config.json"
        try:
            loaded = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self.store.empty:
                raise UserError(
                    f"{file} is not there yet, as of a run that is just starting: look again in a moment; "
                    "if nothing is at work there, start its command again"
                ) from None
            raise DamagedRun(file, "it is missing") from None
        except (ValueError, RecursionError) as error:
            raise DamagedRun(file, f"no JSON: {error}") from None
        if not isinstance(loaded, dict):
            raise DamagedRun(file, "no JSON object")
        return masked(loaded)

    def save_image(self, png: bytes) -> str:
        """Keep a PNG under the hash of its bytes and return the hash."""
        return self._images().save(png)

    def load_image(self, name: str) -> bytes:
        return self._images().load(name)

    def _images(self) -> Images:
        """Opened when there is an image: most commands look at none, and the address may be far away."""
        if self._opened_images is None:
            self._opened_images = images_of(self.path)
        return self._opened_images

    def close(self) -> None:
        self.store.close()
        self._release()

    def _release(self) -> None:
        while self._locks:
            os.close(self._locks.pop())

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


#: numbers of a config that may grow when a run goes on, by table and key
EXTENDABLE = (("synthesis", "rollouts"), ("evaluation", "tasks"))
#: what may differ: what grows, and what calls cost, which decides nothing but the bill
_FREE = {"models": ("prices", "batch"), "synthesis": ("rollouts",), "evaluation": ("tasks", "arms", "part")}


def _binding(config: Config) -> Config:
    """A config without what may be another when the run goes on."""
    binding = dict(config)
    for table, keys in _FREE.items():
        if isinstance(stated := config.get(table), dict):
            binding[table] = {key: value for key, value in stated.items() if key not in keys}
    return binding


def _arms(config: Config) -> list[dict[str, Any]]:
    stated = config.get("evaluation")
    arms = stated.get("arms") if isinstance(stated, dict) else None
    return [arm for arm in arms if isinstance(arm, dict) and "name" in arm] if isinstance(arms, list) else []


def _part(config: Config) -> list[str]:
    stated = config.get("evaluation")
    return list(stated.get("part", ())) if isinstance(stated, dict) else []


def _amount(config: Config, table: str, key: str) -> float:
    """A number that may grow. No held-out tasks are asked for by number where all are."""
    stated = config.get(table)
    value = stated.get(key, 0) if isinstance(stated, dict) else 0
    number = float(value) if isinstance(value, int | float) else 0.0
    return math.inf if key == "tasks" and not number else number


def _as_json(config: Config) -> bytes:
    return json.dumps(config, indent=2, ensure_ascii=False).encode()
