"""Harbor: takes rows as its own trajectories: WHEEL FILE... -> how many steps each has."""

import json
import sys
from pathlib import Path

wheel, *files = sys.argv[1:]
sys.path.insert(0, wheel)

from harbor.models.trajectories import Trajectory  # noqa: E402

lines = [line for file in files for line in Path(file).read_text().splitlines()]
print(json.dumps([len(Trajectory(**json.loads(line)).steps) for line in lines]))
