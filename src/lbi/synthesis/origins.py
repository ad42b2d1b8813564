"""Examples -> where each came from, in the run's table of knowledge: its document, and the application's version."""

from __future__ import annotations

from collections.abc import Iterable

from lbi.context import RunContext
from lbi.protocols import Environments, Versioned
from lbi.records import Example
from lbi.storage.knowledge import Entry, KnowledgeLog
from lbi.synthesis.examples import examples_of_seed

UNKNOWN = "unknown"


def application_version(environments: Environments) -> str:
    """Such as "9a77..."; "unknown" where it cannot be told."""
    return (environments.version if isinstance(environments, Versioned) else "") or UNKNOWN


def note_learnt(context: RunContext, seed: int) -> int:
    """Note the kept examples that are not noted yet; how many these were."""
    log = KnowledgeLog(context.folder.store)
    known = {change.item for change in log.changes() if change.event == "learnt"}
    examples = [example for _, example in examples_of_seed(context, seed) if example.kept]
    version = application_version(context.environments)
    return log.append(learnt((each for each in examples if each.id not in known), version))


def learnt(examples: Iterable[Example], version: str, how: str = "") -> Iterable[Entry]:
    """The rows for new examples."""
    for example in examples:
        document = f"document {example.document}" if example.document else "no document"
        yield Entry(example.id, "learnt", f"application {version}", f"{how}{document}")
