"""The providers' batch interfaces: named calls -> one file or request with them -> what became of each, a day later.

Each gives half of the usual price for it. A call that expired, or that was called off, was not carried out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lbi.errors import ModelBusy, ModelError
from lbi.models.providers._provider import table
from lbi.models.providers._wire import Answered, Json, Wire
from lbi.protocols import Reply, Request

SHARE = 0.5
_SLACK = 60.0  # seconds that a provider's clock may be behind ours
_INLINE = 18_000_000  # bytes of a batch that Google takes in one request: documented are 20 MB
#: google.rpc.Code -> the HTTP status that Google answers in its place to a call of its own
_STATUS = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 14: 503, 16: 401}
Body = Callable[[Request], Json]  # what a call of its own would post
Read = Callable[[Answered, Request], Reply]  # and how its answer is read


class OpenAIBatches:
    """A file of calls, and a batch that names it. Its mark is a part of the batch's metadata."""

    share, most = SHARE, 20_000

    def __init__(self, wire: Wire, body: Body, read: Read) -> None:
        self._wire, self._body, self._read = wire, body, read

    async def submit(self, calls: Sequence[tuple[str, Request]], mark: str) -> str:
        path = "/v1/chat/completions"
        rows = [{"custom_id": name, "method": "POST", "url": path, "body": self._body(asked)} for name, asked in calls]
        file = "\n".join(json.dumps(row) for row in rows).encode()
        uploaded = await self._wire.upload("/files", {"purpose": "batch"}, file)
        asked = {"endpoint": path, "completion_window": "24h", "metadata": {"mark": mark}}
        found = await self._wire.post("/batches", {**asked, "input_file_id": _id(self._wire, uploaded)})
        return _id(self._wire, found)

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        found = await self._wire.get("/batches?limit=100")
        return next((str(each["id"]) for each in _listed(found) if table(each.get("metadata")).get("mark") == mark), "")

    async def fetch(self, batch: str) -> dict[str, Json] | None:
        said = (await self._wire.get(f"/batches/{batch}")).body
        status = said.get("status")
        if status not in ("completed", "failed", "expired", "cancelled"):
            return None
        if status == "failed":
            why = json.dumps(table(said.get("errors")).get("data") or said.get("errors"))
            raise ModelError(f"the batch {batch} was not accepted: {why[:300]}", kind="failed")
        files = [said[part] for part in ("output_file_id", "error_file_id") if said.get(part)]
        rows = [row for file in files for row in await self._wire.lines(f"/files/{file}/content")]
        return {str(row.get("custom_id")): row for row in rows}

    def read(self, row: Json, request: Request) -> Reply:
        answer, error = table(row.get("response")), row.get("error")
        if error or not answer:
            raise _not_carried_out(row.get("custom_id"), error)
        if answer.get("status_code") != 200:
            raise self._wire.failed(int(answer.get("status_code") or 500), answer.get("body"))
        return self._read(Answered(table(answer.get("body")), (), 0.0), request)


class AnthropicBatches:
    """The calls themselves. A batch has no mark: a lost one is known by its time and its size."""

    share, most = SHARE, 10_000

    def __init__(self, wire: Wire, body: Body, read: Read) -> None:
        self._wire, self._body, self._read = wire, body, read

    async def submit(self, calls: Sequence[tuple[str, Request]], mark: str) -> str:
        rows = [{"custom_id": name, "params": self._body(asked)} for name, asked in calls]
        return _id(self._wire, await self._wire.post("/v1/messages/batches", {"requests": rows}))

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        for each in _listed(await self._wire.get("/v1/messages/batches?limit=100")):
            size = sum(table(each.get("request_counts")).values())
            if size == calls and _time(each.get("created_at")) >= since - _SLACK and each["id"] not in known:
                return str(each["id"])
        return ""

    async def fetch(self, batch: str) -> dict[str, Json] | None:
        said = (await self._wire.get(f"/v1/messages/batches/{batch}")).body
        if said.get("processing_status") != "ended":
            return None
        # by its own address: the one in the reply may be anybody's, and the key goes with the request
        rows = await self._wire.lines(f"/v1/messages/batches/{batch}/results")
        return {str(row.get("custom_id")): row for row in rows}

    def read(self, row: Json, request: Request) -> Reply:
        result = table(row.get("result"))
        if result.get("type") == "succeeded":
            return self._read(Answered(table(result.get("message")), (), 0.0), request)
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
        rows = [{"request": self._body(asked), "metadata": {"key": name}} for name, asked in calls]
        if len(rows) > 1 and sum(len(json.dumps(row)) for row in rows) > _INLINE:
            raise ModelError(f"{len(rows):,} calls are more than one request may hold", kind="too long")
        batch = {"displayName": mark, "inputConfig": {"requests": {"requests": rows}}}
        made = await self._wire.post(self._path, {"batch": batch})
        name = made.body.get("name")
        if not isinstance(name, str) or not name.startswith("batches/"):
            raise self._wire.malformed(made.body)
        return name

    async def find(self, mark: str, calls: int, since: float, known: Collection[str]) -> str:
        page: str | None = ""
        while page is not None:
            found = (await self._wire.get(f"/batches?pageSize=100{page and '&pageToken=' + quote(page, safe='')}")).body
            for each in map(table, found.get("operations") or []):
                if table(each.get("metadata")).get("displayName") == mark:
                    return str(each.get("name"))
            page = found.get("nextPageToken") or None
        return ""

    async def fetch(self, batch: str) -> dict[str, Json] | None:
        # why a batch failed is an error inside a good answer: not this request's own
        said = (await self._wire.get(f"/{batch}", inside=True)).body
        known, error = table(said.get("metadata")), said.get("error")
        state = str(known.get("state")).removeprefix("BATCH_STATE_")
        if state in ("CANCELLED", "EXPIRED"):
            return {}
        if state == "FAILED" or error:
            raise ModelError(f"the batch {batch} was not accepted: {json.dumps(error)[:300]}", kind="failed")
        if not said.get("done") and state != "SUCCEEDED":
            return None
        output = table(said.get("response")) or table(known.get("output"))
        named = {key: row for row in map(table, _inlined(output)) if (key := _key(row))}
        if not named:
            raise ModelError(f"the batch {batch} is done, and none of its rows names its call", kind="failed")
        return named

    def read(self, row: Json, request: Request) -> Reply:
        if row.get("response"):
            return self._read(Answered(table(row["response"]), (), 0.0), request)
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


def _id(wire: Wire, found: Answered) -> str:
    name = found.body.get("id")
    if not isinstance(name, str) or not name:
        raise wire.malformed(found.body)
    return name


def _listed(found: Answered) -> list[Json]:
    data = found.body.get("data")
    return [table(each) for each in data if table(each).get("id")] if isinstance(data, list) else []


def _time(said: Any) -> float:
    try:
        return datetime.fromisoformat(str(said)).timestamp()
    except ValueError:
        return 0.0
