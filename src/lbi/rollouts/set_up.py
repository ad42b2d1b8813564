"""The first stage: tries the environment out, and finds its actions and the documents that come with it."""

from __future__ import annotations

from lbi.context import RunContext
from lbi.documents.corpus import DocumentSource
from lbi.environments import own_documents
from lbi.errors import EnvironmentFailure
from lbi.protocols import Environment
from lbi.records import Task


async def set_up(context: RunContext) -> tuple[str, tuple[DocumentSource, ...]]:
    """(the actions in words, the sources of documents). What does not work ends the run before any call is paid for."""
    with context.progress.stage("set up", 1) as stage:
        actions = await _tried_out(context)
        sources = (*await own_documents(context.config, context.environments), *context.config.documents)
        stage.advance()
    return actions, sources


async def _tried_out(context: RunContext) -> str:
    """The environment's actions in words. Raises EnvironmentFailure if its site, browser or log-in does not work."""
    actions = ""

    async def reset_once(environment: Environment) -> None:
        nonlocal actions
        await environment.reset(Task(instruction="", environment=context.environments.name))
        actions = environment.actions

    def failed(error: EnvironmentFailure, last: bool) -> None:
        if last:
            raise error

    await context.pool.do(reset_once, failed=failed)
    return actions
