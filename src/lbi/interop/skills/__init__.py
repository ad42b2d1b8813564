"""Skills and what others keep them in: folders of Agent Skills, and a block of AGENTS.md or CLAUDE.md."""
