"""What others made comes in, and what was learnt goes out: traces of agents, a server of examples, skills."""
