"""The providers' batch interfaces: named calls, sent in one file or request -> what became of each, up to a day later.

A call costs half of the usual price. One that expired, or that was cancelled, was not carried out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lbi.errors import ModelBusy, ModelError
from lbi.models.providers._provider import table
from lbi.models.providers._wire import Answer, Wire
from lbi.protocols import Json, Reply, Request

SHARE = 0.5
_CLOCK_DIFFERENCE = 60.0  # seconds that a provider's clock may be behind ours
_INLINE = 18_000_000  # bytes of a batch that Google takes in one request: documented are 20 MB
#: google.rpc.Code -> the HTTP status with which Google would answer a single call
_STATUS = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 14: 503, 16: 401}
Body = Callable[[Request], Json]  # what a single call would post
Read = Callable[[Answer, Request], Reply]  # and how its answer is read


class OpenAIBatches:
    """A file of calls, and a batch that names it. Its mark is a part of the batch's metadata."""

    share, most = SHARE, 20_000

    def __init__(self, wire: Wire, body: Body, read: Read) -> None:
        self._wire, self._body, self._read = wire, body, read

    async def submit(self, calls: Sequence[tuple[str, Request]], mark: str) -> str:
        path = "/v1/chat/completions"
        rows = [{"custom_id": name, "method": "POST", "url": path, "body": self._body(call)} for name, call in calls]
        file = "\n".join(json.dumps(row) for row in rows).encode()
        uploaded = await self._wire.upload("/files", {"purpose": "batch"}, file)
        batch = {"endpoint": path, "completion_window": "24h", "metadata": {"mark": mark}}
        created = await self._wire.post("/batches", {**batch, "input_file_id": _id(self._wire, uploaded)})
        return _id(self._wire, created)

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        batches = _listed(await self._wire.get("/batches?limit=100"))
        return next((str(row["id"]) for row in batches if table(row.get("metadata")).get("mark") == mark), "")

    async def fetch(self, batch: str) -> dict[str, Json] | None:
        state = (await self._wire.get(f"/batches/{batch}")).body
        status = state.get("status")
        if status not in ("completed", "failed", "expired", "cancelled"):
            return None
        if status == "failed":
            why = json.dumps(table(state.get("errors")).get("data") or state.get("errors"))
            raise ModelError(f"the batch {batch} was not accepted: {why[:300]}", kind="failed")
        files = [state[part] for part in ("output_file_id", "error_file_id") if state.get(part)]
        rows = [row for file in files for row in await self._wire.lines(f"/files/{file}/content")]
        return {str(row.get("custom_id")): row for row in rows}

    def read(self, row: Json, request: Request) -> Reply:
        answer, error = table(row.get("response")), row.get("error")
        if error or not answer:
            raise _not_carried_out(row.get("custom_id"), error)
        if answer.get("status_code") != 200:
            raise self._wire.failed(int(answer.get("status_code") or 500), answer.get("body"))
        return self._read(Answer(table(answer.get("body")), (), 0.0), request)


class AnthropicBatches:
    """The calls themselves. A batch has no mark: a lost one is known by its time and its size."""

    share, most = SHARE, 10_000

    def __init__(self, wire: Wire, body: Body, read: Read) -> None:
        self._wire, self._body, self._read = wire, body, read

    async def submit(self, calls: Sequence[tuple[str, Request]], mark: str) -> str:
        rows = [{"custom_id": name, "params": self._body(call)} for name, call in calls]
        return _id(self._wire, await self._wire.post("/v1/messages/batches", {"requests": rows}))

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        for row in _listed(await self._wire.get("/v1/messages/batches?limit=100")):
            size = sum(table(row.get("request_counts")).values())
            recent = _time(row.get("created_at")) >= since - _CLOCK_DIFFERENCE
            if size == calls and recent and row["id"] not in known:
                return str(row["id"])
        return ""

    async def fetch(self, batch: str) -> dict[str, Json] | None:
        state = (await self._wire.get(f"/v1/messages/batches/{batch}")).body
        if state.get("processing_status") != "ended":
            return None
        # by its own address: the one in the reply may be anybody's, and the key goes with the request
        rows = await self._wire.lines(f"/v1/messages/batches/{batch}/results")
        return {str(row.get("custom_id")): row for row in rows}

    def read(self, row: Json, request: Request) -> Reply:
        result = table(row.get("result"))
        if result.get("type") == "succeeded":
            return self._read(Answer(table(result.get("message")), (), 0.0), request)
        if result.get("type") != "errored":
            raise _not_carried_out(row.get("custom_id"), result.get("type"))
        error = table(result.get("error"))
        kind = table(error.get("error")).get("type")
        raise self._wire.failed(400 if kind == "invalid_request_error" else 500, error)


class GoogleBatches:
    """The calls themselves, in the request that makes the batch. Its mark is the name that it is displayed by.

    Rows come back in any order (googleapis/python-genai issue 1909), so one without its call's name is nobody's.
    """

    share, most = SHARE, 2_000

    def __init__(self, wire: Wire, model: str, body: Body, read: Read) -> None:
        self._wire, self._path, self._body, self._read = wire, f"/models/{model}:batchGenerateContent", body, read

    async def submit(self, calls: Sequence[tuple[str, Request]], mark: str) -> str:
        rows = [{"request": self._body(call), "metadata": {"key": name}} for name, call in calls]
        if len(rows) > 1 and sum(len(json.dumps(row)) for row in rows) > _INLINE:
            raise ModelError(f"{len(rows):,} calls are more than one request may hold", kind="too long")
        batch = {"displayName": mark, "inputConfig": {"requests": {"requests": rows}}}
        created = await self._wire.post(self._path, {"batch": batch})
        name = created.body.get("name")
        if not isinstance(name, str) or not name.startswith("batches/"):
            raise self._wire.malformed(created.body)
        return name

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        token: str | None = ""
        while token is not None:
            path = f"/batches?pageSize=100{token and '&pageToken=' + quote(token, safe='')}"
            page = (await self._wire.get(path)).body
            for row in map(table, page.get("operations") or []):
                if table(row.get("metadata")).get("displayName") == mark:
                    return str(row.get("name"))
            token = page.get("nextPageToken") or None
        return ""

    async def fetch(self, batch: str) -> dict[str, Json] | None:
        # why a batch failed is an error inside a good answer: not this request's own
        operation = (await self._wire.get(f"/{batch}", error_inside=True)).body
        metadata, error = table(operation.get("metadata")), operation.get("error")
        state = str(metadata.get("state")).removeprefix("BATCH_STATE_")
        if state in ("CANCELLED", "EXPIRED"):
            return {}
        if state == "FAILED" or error:
            raise ModelError(f"the batch {batch} was not accepted: {json.dumps(error)[:300]}", kind="failed")
        if not operation.get("done") and state != "SUCCEEDED":
            return None
        output = table(operation.get("response")) or table(metadata.get("output"))
        named = {key: row for row in map(table, _inlined(output)) if (key := _key(row))}
        if not named:
            raise ModelError(f"the batch {batch} is done, and none of its rows names its call", kind="failed")
        return named

    def read(self, row: Json, request: Request) -> Reply:
        if row.get("response"):
            return self._read(Answer(table(row["response"]), (), 0.0), request)
        error = table(row.get("error"))
        if not error:
            raise _not_carried_out(_key(row), "neither a response nor an error")
        code = int(error.get("code") or 0)
        raise self._wire.failed(code if code >= 400 else _STATUS.get(code, 500), {"error": error})


def _inlined(output: Json) -> list[Any]:
    rows = table(output.get("inlinedResponses")).get("inlinedResponses")
    return rows if isinstance(rows, list) else []


def _key(row: Json) -> str:
    return str(table(row.get("metadata")).get("key") or "")


def _not_carried_out(name: object, why: Any) -> ModelBusy:
    return ModelBusy(f"the call {name} of a batch was not carried out ({json.dumps(why)[:200]})", kind="failed")


def _id(wire: Wire, answer: Answer) -> str:
    name = answer.body.get("id")
    if not isinstance(name, str) or not name:
        raise wire.malformed(answer.body)
    return name


def _listed(answer: Answer) -> list[Json]:
    rows = answer.body.get("data")
    return [table(row) for row in rows if table(row).get("id")] if isinstance(rows, list) else []


def _time(text: Any) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
