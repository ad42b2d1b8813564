"""The batch interfaces of the providers on the test server: calls in one request -> what became of each, later.

Rows are answered by the server's own script, once each, when their batch is done.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from lbi.models.testing.wire_formats import FORMATS, Answer, Json

if TYPE_CHECKING:
    from aiohttp import web

Fate = Literal["", "failed", "expired"]
_STATES = {"": "completed", "failed": "failed", "expired": "expired"}
_GOOGLE_STATES = {"": "SUCCEEDED", "failed": "FAILED", "expired": "EXPIRED"}
#: HTTP status -> google.rpc.Code
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 503: 14, 504: 4}
_GOOGLE = ":batchGenerateContent"


@dataclass
class Batch:
    """A batch that was accepted. ``rows`` is what its provider makes of them, once it is done."""

    name: str
    provider: str
    calls: list[Json]
    mark: str
    created: float
    rows: list[Json] | None = None


@dataclass
class BatchService:
    """The batches of one server. Set what is to happen to them before they are sent."""

    answer: Callable[[Json], Answer]
    latency: float = 0.0  # seconds until a batch is done
    fate: Fate = ""  # of every batch: not accepted, or over before it was carried out
    most: int = 100_000  # calls that a batch may have
    lose: int = 0  # this many submissions are accepted, and the answers to them get lost on the way
    slow: float = 0.0  # seconds between accepting a batch and saying so
    nameless: bool = False  # Google's rows come back without the names of their calls
    refuse: list[int] = field(default_factory=list)  # statuses with which the next requests are refused
    batches: dict[str, Batch] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    carried_out: int = 0  # rows that cost something
    requests: int = 0  # that arrived

    def knows(self, request: web.BaseRequest) -> bool:
        return "/batches" in request.path or "/files" in request.path or request.path.endswith(_GOOGLE)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        self.requests += 1
        if self.refuse:
            return web.json_response({"error": {"message": "not now"}}, status=self.refuse.pop(0))
        if request.path.startswith("/v1/files"):
            return await self._file(request, request.path.removeprefix("/v1/").split("/"))
        provider, rest = _parts(request.path)
        if request.method == "POST":
            accepted = self._accepted(request, provider, json.loads(await request.read()))
            await asyncio.sleep(self.slow)
            return accepted
        if not rest:
            return web.json_response(self._listed(provider, int(request.query.get("pageToken") or 0)))
        batch = self.batches.get(rest[0])
        if batch is None:
            return web.json_response({"error": {"message": f"no batch {rest[0]}"}}, status=404)
        if rest[1:] == ["results"]:
            return web.Response(text=_lines(batch.rows or []), content_type="application/x-jsonl")
        return web.json_response(self._state(batch))

    def _of(self, provider: str) -> list[Batch]:
        return [batch for batch in reversed(self.batches.values()) if batch.provider == provider]

    def _listed(self, provider: str, page: int) -> Json:
        """The newest first; Google's in no order that is promised, one to a page, so that all pages have to be read."""
        states = [self._state(batch) for batch in self._of(provider)]
        if provider != "google":
            return {"data": states}
        more = {"nextPageToken": str(page + 1)} if page + 1 < len(states) else {}
        return {"operations": states[::-1][page : page + 1], **more}

    async def _file(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse:
        from aiohttp import web

        if request.method != "POST":
            return web.Response(body=self.files[parts[1]], content_type="application/octet-stream")
        form: dict[str, bytes] = {}
        async for part in await request.multipart():
            form[str(getattr(part, "name", ""))] = bytes(await part.read())  # type: ignore[union-attr]
        assert form["purpose"] == b"batch"
        return web.json_response({"id": self._keep(form["file"]), "object": "file"})

    def _keep(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    def _accepted(self, request: web.BaseRequest, provider: str, body: Json) -> web.StreamResponse:
        from aiohttp import web

        calls, mark = self._calls(provider, body)
        if len(calls) > self.most:
            return web.json_response({"error": {"message": "request too large"}}, status=413)
        assert len({_name(provider, call) for call in calls}) == len(calls)
        name = f"batch_{provider}_{len(self.batches)}"
        batch = self.batches[name] = Batch(name, provider, calls, mark, time.time())
        if self.lose:
            self.lose -= 1
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.json_response(self._state(batch))

    def _calls(self, provider: str, body: Json) -> tuple[list[Json], str]:
        """What a batch asks for, and the mark that its sender knows it by."""
        if provider == "google":
            return body["batch"]["inputConfig"]["requests"]["requests"], body["batch"]["displayName"]
        return body.get("requests") or _read(self.files[body["input_file_id"]]), body.get("metadata", {}).get(
            "mark", ""
        )

    def _state(self, batch: Batch) -> Json:
        done = time.time() - batch.created >= self.latency
        if done and batch.rows is None:
            batch.rows = [] if self.fate == "failed" else [self._row(batch, call) for call in batch.calls]
        return {"openai": _openai, "anthropic": _anthropic, "google": _google}[batch.provider](self, batch, done)

    def _row(self, batch: Batch, call: Json) -> Json:
        body = call[{"openai": "body", "anthropic": "params", "google": "request"}[batch.provider]]
        answer = Answer(flaw="expired") if self.fate == "expired" else self.answer(body)
        self.carried_out += answer.status == 200 and answer.flaw != "expired"
        outcome = _outcome(batch.provider, answer, body)
        if batch.provider == "google":
            return outcome if self.nameless else {**outcome, "metadata": call["metadata"]}
        return {"custom_id": call["custom_id"], **outcome}

    def keep_rows(self, rows: list[Json]) -> str | None:
        """A file of rows, or none where there are none."""
        return self._keep(_lines(rows).encode()) if rows else None


def _parts(path: str) -> tuple[str, list[str]]:
    """Whose interface an address belongs to, and what comes after the name of its batches."""
    if path.endswith(_GOOGLE):
        return "google", []
    provider = "anthropic" if "/messages/" in path else "google" if path.startswith("/v1beta/") else "openai"
    return provider, [part for part in path.partition("/batches")[2].split("/") if part]


def _name(provider: str, call: Json) -> str:
    return str(call["metadata"]["key"] if provider == "google" else call["custom_id"])


def _outcome(provider: str, answer: Answer, request: Json) -> Json:
    form = FORMATS[provider]
    if provider == "google":
        if answer.flaw == "expired":
            return {}
        if answer.status == 200:
            return {"response": form.body(answer, request)}
        message = form.error(answer)["error"]["message"]
        return {"error": {"code": _CODES.get(answer.status, 13), "message": message}}
    if provider == "openai":
        if answer.flaw == "expired":
            return {"response": None, "error": {"code": "batch_expired", "message": "not in time"}}
        body = form.body(answer, request) if answer.status == 200 else form.error(answer)
        return {"response": {"status_code": answer.status, "request_id": "r", "body": body}, "error": None}
    if answer.flaw == "expired":
        return {"result": {"type": "expired"}}
    if answer.status == 200:
        return {"result": {"type": "succeeded", "message": form.body(answer, request)}}
    error: dict[str, Any] = form.error(answer)
    return {"result": {"type": "errored", "error": error}}


def _openai(service: BatchService, batch: Batch, done: bool) -> Json:
    state: Json = {"id": batch.name, "object": "batch", "status": "in_progress", "metadata": {"mark": batch.mark}}
    if not done:
        return state
    state["status"] = _STATES[service.fate]
    if service.fate == "failed":
        return {**state, "errors": {"data": [{"code": "token_limit_exceeded", "message": "too many tokens enqueued"}]}}
    good = [row for row in batch.rows or [] if (row["response"] or {}).get("status_code") == 200]
    bad = [row for row in batch.rows or [] if row not in good]
    return {**state, "output_file_id": service.keep_rows(good[::-1]), "error_file_id": service.keep_rows(bad)}


def _anthropic(service: BatchService, batch: Batch, done: bool) -> Json:
    counts = {"processing": 0 if done else len(batch.calls), "succeeded": len(batch.calls) if done else 0, "errored": 0}
    return {
        "id": batch.name,
        "type": "message_batch",
        "processing_status": "ended" if done else "in_progress",
        "request_counts": counts,
        "created_at": datetime.fromtimestamp(batch.created, UTC).isoformat(),
        "results_url": "http://example.invalid/results",  # a client that goes there fails
    }


def _google(service: BatchService, batch: Batch, done: bool) -> Json:
    """An operation: what is known of it in its metadata, and what came of it beside that."""
    state = _GOOGLE_STATES[service.fate] if done else "RUNNING"
    created = datetime.fromtimestamp(batch.created, UTC).isoformat()
    metadata = {"displayName": batch.mark, "createTime": created, "state": f"BATCH_STATE_{state}"}
    operation: Json = {"name": f"batches/{batch.name}", "metadata": metadata}
    if not done:
        return operation
    if service.fate:
        return {**operation, "done": True, "error": {"code": 8, "message": "too many tokens enqueued"}}
    rows = (batch.rows or [])[::-1]  # in any order
    return {**operation, "done": True, "response": {"inlinedResponses": {"inlinedResponses": rows}}}


def _read(file: bytes) -> list[Json]:
    return [json.loads(line) for line in file.splitlines()]


def _lines(rows: list[Json]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
