#!/usr/bin/env bash
# Expected: the front matter of a SKILL.md ends with a line that is `---`, and the reference checker of Agent Skills reads
# all of it. What happens (skills-ref 0.1.1): it ends at the first three dashes anywhere, also within a description. The
# rest of the description and all fields after it are gone, from what it reads and from the prompt that it makes; and its
# check says that the skill is valid. A YAML parser reads the same front matter whole. Concerns whoever lets the checker
# decide whether skills are right, or makes the list of skills for a prompt with it: an agent chooses skills by half of
# their descriptions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q skills-ref==0.1.1 pyyaml==6.0.4
cd "$folder"
venv/bin/python - 2>log <<'PY' || { grep -E '^(changed|[A-Za-z]*Error)' log || tail -n 3 log; exit 1; }
from importlib.metadata import version
from pathlib import Path

import skills_ref
import yaml

DESCRIPTION = "Sets tables with a rule (---) below the head. Use it for reports, never for mail."
FRONT = f"name: tables\ndescription: {DESCRIPTION}\nlicense: MIT\n"
skill = Path("tables")
skill.mkdir()
(skill / "SKILL.md").write_text(f"---\n{FRONT}---\nWrite the head first.\n")

print("skills-ref", version("skills-ref"))
whole = yaml.safe_load(FRONT)
problems = skills_ref.validate(skill)
read = skills_ref.read_properties(skill).to_dict()
prompt = skills_ref.to_prompt([skill])
print("a YAML parser reads", whole)
print("skills-ref reads   ", read)
print("its check finds    ", problems or "nothing wrong")
print("its prompt says    ", next(line for line in prompt.splitlines() if "Sets tables" in line))
if whole["description"] != DESCRIPTION or whole["license"] != "MIT":
    raise SystemExit("changed: the front matter of this script is no YAML")
if problems:
    raise SystemExit(f"changed: the check finds {problems}")
if read != {"name": "tables", "description": "Sets tables with a rule ("}:
    raise SystemExit(f"changed: it reads {read}")
if "never for mail" in prompt:
    raise SystemExit("changed: the prompt has the whole description")
PY
echo "as described"
