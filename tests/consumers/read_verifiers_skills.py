"""verifiers: installs skill folders where its harness for Claude Code finds them: ROOT -> what lies there then."""

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

root = Path(sys.argv[1])
os.environ["HOME"] = tempfile.mkdtemp()  # its runtimes keep their folders below it

from verifiers.v1.harnesses.claude_code.harness import ClaudeCodeHarness, ClaudeCodeHarnessConfig  # noqa: E402
from verifiers.v1.runtimes.subprocess import SubprocessConfig, SubprocessRuntime  # noqa: E402


async def installed() -> dict[str, str]:
    folders = sorted(main.parent for main in root.glob("*/SKILL.md"))
    harness = ClaudeCodeHarness(ClaudeCodeHarnessConfig(skills=folders))
    runtime = SubprocessRuntime(SubprocessConfig())
    await runtime.start()
    try:
        await harness.install_skills(runtime, "config/skills")
        place = Path(runtime.workdir) / "config" / "skills"
        files = sorted(file for file in place.rglob("*") if file.is_file())
        return {str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    finally:
        await runtime.stop()


print(json.dumps(asyncio.run(installed())))
