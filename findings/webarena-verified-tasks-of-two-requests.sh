#!/usr/bin/env bash
# Expected: a task to invite two people is done when a request for each of them was sent. What happens (webarena-verified
# 1.2.3): each check of requests looks at the last request to its address alone, unless it says otherwise, and tasks that
# want two requests to one address have two such checks. The last request cannot be both, so whatever is sent, in whatever
# order, the score is 0. Of the 812 tasks this holds for nine (eight of GitLab, and one that wants two pages shown): nobody
# can solve them. Concerns whoever compares published rates: no agent can reach 100%, and these nine look like the agent's.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q webarena-verified==1.2.3
cd "$folder"
venv/bin/python - 2>log <<'PY' || { grep -E '^(changed|[A-Za-z]*Error)' log || tail -n 3 log; exit 1; }
import itertools
import json
import logging
from importlib.metadata import distribution, version

from webarena_verified.api import WebArenaVerified
from webarena_verified.types.config import WebArenaVerifiedConfig

NINE = [429, 567, 568, 569, 570, 742, 743, 745, 746]
SITE = "http://gitlab.test"

wheel = distribution("webarena-verified")
tasks = json.loads(wheel.locate_file("webarena_verified/assets/dataset/webarena-verified.json").read_text())


def excludes_itself(task):
    """Whether two checks each want the last request of the same to be another one."""
    checks = [each for each in task["eval"] if each["evaluator"] == "NetworkEventEvaluator"]
    last = [each["expected"] for each in checks if each.get("last_event_only", True) and not each.get("should_not_exist")]
    for one, other in itertools.combinations(last, 2):
        methods = {one.get("http_method", "GET"), other.get("http_method", "GET")}
        if methods == {"GET"} and task["eval"][0]["expected"]["task_type"] == "navigate":
            if one["url"] != other["url"]:  # the last page that was opened is meant, at whatever address
                return True
        elif len(methods) == 1 and one["url"] == other["url"]:
            if any(one["post_data"][key] != other["post_data"][key] for key in one["post_data"].keys() & other["post_data"]):
                return True
    return False


def invitation(check):
    expected = check["expected"]
    posted = {"mimeType": "application/json", "text": json.dumps(expected["post_data"])}
    url = expected["url"].replace("__GITLAB__", SITE)
    request = {"method": expected["http_method"], "url": url, "headers": [], "postData": posted}
    return {"request": request, "response": {"status": expected["response_status"], "redirectURL": "", "headers": []}}


logging.disable(logging.CRITICAL)
settings = WebArenaVerifiedConfig.model_validate({"environments": {"__GITLAB__": {"urls": [SITE]}}})
evaluator = WebArenaVerified(config=settings)
answer = json.dumps({"task_type": "MUTATE", "status": "SUCCESS", "retrieved_data": None, "error_details": None})
task = next(each for each in tasks if each["task_id"] == 567)
checks = [each for each in task["eval"] if each["evaluator"] == "NetworkEventEvaluator"]
print("webarena-verified", version("webarena-verified"), "task 567, to invite two people:")
sent = [invitation(each) for each in checks]
for order in ((0,), (1,), (0, 1), (1, 0), (0, 1, 0), (1, 0, 1)):
    result = evaluator.evaluate_task(task_id=567, agent_response=answer, network_trace=[sent[at] for at in order])
    met = [each.score for each in result.evaluators_results]
    people = [checks[at]["expected"]["post_data"]["user_id"] for at in order]
    print(f"  sent for {people}: score {result.score}, by check {met}, {result.status}")
    if result.score != 0 or sorted(met) != [0, 1, 1]:  # the answer's and one of the requests'
        raise SystemExit(f"changed: task 567 scores {result.score} for {people}, by check {met}")
found = sorted(each["task_id"] for each in tasks if excludes_itself(each))
print(f"{len(found)} of {len(tasks)} tasks have checks that exclude each other: {found}")
if found != NINE:
    raise SystemExit(f"changed: these are {found}, no longer {NINE}")
PY
echo "as described"
