"""The pages of one or two runs: which address shows what."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from lbi.errors import EnvironmentFailure, UserError
from lbi.report import page as report
from lbi.report.viewer import contents
from lbi.report.viewer.contents import NotThere
from lbi.report.viewer.source import RunView
from lbi.storage.judgements import DECISIONS

FOLDER = Path(__file__).parent / "templates"
IMAGE = re.compile(r"[0-9a-f]{32}")
Contents = Callable[[RunView, Request], dict[str, Any]]


def pages(views: Sequence[RunView], root: str, judge: str) -> Starlette:
    """The application. ``root`` is where it is mounted, ``judge`` the name under which examples are judged."""
    site = Site(views, root, judge)
    routes: list[BaseRoute] = [
        Route("/style.css", _file(report.FOLDER / "style.css", "text/css", FOLDER / "view.css")),
        Route("/view.js", _file(FOLDER / "view.js", "text/javascript")),
    ]
    if len(views) == 2:
        routes.append(Route("/runs", site.both))
        routes.append(Mount("/other", routes=site.routes(views[1])))
    return Starlette(
        routes=[*routes, *site.routes(views[0])],
        exception_handlers={HTTPException: site.missing, UserError: site.refused, Exception: site.broken},
    )


class Site:
    """Makes one page at a time, as the store of a run is not for several threads."""

    def __init__(self, views: Sequence[RunView], root: str, judge: str) -> None:
        self._views, self._root, self._judge = views, root, judge
        self._templates = report.environment(FOLDER)
        self._templates.globals["place"] = contents.place
        self._one_at_a_time = threading.Lock()

    def routes(self, view: RunView) -> list[BaseRoute]:
        """The pages of one run."""

        def route(path: str, template: str, made: Contents) -> Route:
            def endpoint(request: Request) -> Response:
                return self._page(view, template, request, made)

            return Route(path, endpoint)

        async def judge(request: Request) -> Response:
            given = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
            return await run_in_threadpool(self._judged, view, given)

        return [
            route("/", "overview.html", contents.overview),
            route("/live", "live.html", contents.overview),
            route("/trajectories", "trajectories.html", contents.trajectories),
            route("/trajectory/{anchor}", "trajectory.html", contents.trajectory),
            route("/call/{key}", "call.html", contents.call),
            route("/tasks", "tasks.html", contents.tasks),
            route("/task", "task.html", contents.task),
            route("/examples", "examples.html", contents.examples),
            route("/example/{id}", "example.html", contents.example),
            route("/judge", "judge.html", contents.to_judge),
            Route("/judge", judge, methods=["POST"]),
            Route("/compare", self._compare_from(view)),
            Route("/image/{name}.png", self._image_of(view)),
        ]

    def _page(self, view: RunView, template: str, request: Request, made: Contents) -> Response:
        with self._one_at_a_time:
            try:
                shown = made(view, request)
            except NotThere as error:
                raise HTTPException(404, str(error)) from None
            return self._rendered(view, template, shown)

    def _rendered(self, view: RunView, template: str, shown: dict[str, Any], status: int = 200) -> Response:
        about = {"view": view, "views": self._views, "root": self._root, "judge": self._judge}
        html = self._templates.get_template(template).render(**about, **shown)
        return HTMLResponse(html.encode("utf-8", "replace"), status)

    def both(self, request: Request) -> Response:
        """The two runs beside each other."""
        return self._page(self._views[0], "runs.html", request, lambda view, _: contents.runs(*self._views))

    def _compare_from(self, view: RunView) -> Callable[[Request], Response]:
        def compare(request: Request) -> Response:
            return self._page(
                view, "compare.html", request, lambda _, asked: contents.compare(self._views, view, asked)
            )

        return compare

    def _image_of(self, view: RunView) -> Callable[[Request], Response]:
        def image(request: Request) -> Response:
            name = request.path_params["name"]
            try:
                if not IMAGE.fullmatch(name):
                    raise HTTPException(404, "no such picture")
                return Response(view.run.load_image(name), media_type="image/png")
            except OSError:
                raise HTTPException(404, "this picture is not in the run folder") from None
            except EnvironmentFailure as error:  # object storage that cannot be reached
                raise HTTPException(502, str(error)) from None

        return image

    def _judged(self, view: RunView, given: dict[str, str]) -> Response:
        """Keep what somebody said of an example, and go on where they came from."""
        decision = next((each for each in DECISIONS if each == given.get("decision")), None)
        with self._one_at_a_time:
            example = view.read().examples.get(given.get("example", ""))
            if example is None or decision is None:
                raise HTTPException(400, "choose one of accept, reject and reword, of an example of this run")
            wording = given.get("instruction", "").strip() if decision == "reword" else ""
            if decision == "reword" and wording in ("", example.instruction.strip()):
                raise HTTPException(400, "write the better wording, or accept the example as it is")
            view.judgements.add(example.id, self._judge, decision, wording, given.get("reason", "").strip())
        following = (
            view.to("judge", last=example.id) if given.get("then") == "next" else view.to(f"example/{example.id}")
        )
        return RedirectResponse(following, 303)

    def missing(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._rendered(self._views[0], "message.html", {"message": error.detail}, error.status_code)

    def refused(self, request: Request, error: Exception) -> Response:
        """A damaged run, or a disk that is full."""
        return self._rendered(self._views[0], "message.html", {"message": str(error)}, 500)

    def broken(self, request: Request, error: Exception) -> Response:
        """A fault of the viewer, which is told rather than hidden."""
        said = f"The viewer has a fault here: {type(error).__name__}: {error}"
        return self._rendered(self._views[0], "message.html", {"message": said}, 500)


def _file(file: Path, kind: str, *more: Path) -> Callable[[Request], Response]:
    text = "\n".join(each.read_text(encoding="utf-8") for each in (file, *more))

    def endpoint(request: Request) -> Response:
        return Response(text, media_type=kind)

    return endpoint
