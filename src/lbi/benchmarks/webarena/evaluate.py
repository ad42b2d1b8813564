"""The evaluator of the wheel ``webarena-verified``, asked for one task: (answer, HAR entries) -> (score, reason)."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from lbi.errors import ScoreError

ERROR = "error"


class Grader:
    """Opens the evaluator when it is first asked. ``addresses`` are the sites' by ``__SITE__``."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses
        self._opened: Any = None

    def score(self, task: int, answer: str, entries: list[dict[str, Any]]) -> tuple[float, str]:
        """1.0 or 0.0. Raises ScoreError where the evaluator fails, which says nothing of the agent."""
        if not entries:
            raise ScoreError("no request was recorded, not even that of the first page")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where a warning is made an error, it would be taken for a wrong request
            result = self._open().evaluate_task(task_id=task, agent_response=answer, network_trace=entries)
        reasons = [str(result.error_msg)] if result.error_msg else []
        for each in result.evaluators_results:
            reasons += [str(each.error_msg)] if each.error_msg else []
            if each.score != 1:
                reasons += [message for one in each.assertions or () for message in one.assertion_msgs or ()]
        if str(result.status) == ERROR:
            raise ScoreError(f"webarena-verified: {'; '.join(reasons)}")
        return float(result.score), "; ".join(reasons)[:600] or "every check holds"

    def _open(self) -> Any:
        if self._opened is None:
            from webarena_verified.api import WebArenaVerified
            from webarena_verified.types.config import WebArenaVerifiedConfig

            logging.getLogger("WebArena-Verified").setLevel(logging.CRITICAL + 1)  # its failures come back as results
            environments = {name: {"urls": [url]} for name, url in self._addresses.items()}
            config = WebArenaVerifiedConfig.model_validate({"environments": environments})
            self._opened = WebArenaVerified(config=config)
        return self._opened
