"""What was learnt, served to agents that are not ours: as MCP tools, or by a proxy in front of their model."""
