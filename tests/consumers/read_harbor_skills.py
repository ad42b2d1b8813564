"""Harbor: resolves what `--skill ROOT` names: WHEEL ROOT -> {name: digest} of the skills it would put into a task."""

import json
import sys

wheel, root = sys.argv[1:]
sys.path.insert(0, wheel)

from harbor.skills import compute_skill_digest, resolve_skill_sources, resolve_skills  # noqa: E402

skills = resolve_skills(list(resolve_skill_sources([root])))
print(json.dumps({skill.name: compute_skill_digest(skill.source) for skill in skills}))
