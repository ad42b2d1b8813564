"""What tasks are proposed from without documentation: the pages of a look around (the paper compares both).

A page "Components" at /admin/components  ->  Document(title="Components", source="/admin/components", text=its lines)
"""

from __future__ import annotations

from lbi.config import Config
from lbi.context import RunContext
from lbi.errors import UserError
from lbi.observations.diff import without_references
from lbi.records import Document, Observation
from lbi.rollouts.look_around import look_around, stored_pages


def seeded_by_pages(config: Config) -> bool:
    return config.synthesis.seeding == "environment"


async def pages_as_documents(context: RunContext) -> list[Document]:
    """Look around and store each page as a section. Raises UserError where there are no pages to be found."""
    if not context.one_application:
        raise UserError('synthesis.seeding = "environment" needs one application for all tasks; take "documents"')
    await look_around(context)
    documents = [_document(page, at) for at, page in enumerate(stored_pages(context))]
    if not documents:
        raise UserError('synthesis.seeding = "environment" found no page; set synthesis.map_pages above 0')
    store = context.folder.store
    known = store.keys("document")
    rows = [(f"{at:05d}", document) for at, document in enumerate(documents)]
    store.put_many("document", [row for row in rows if row[0] not in known])
    return documents


def pages_expected(config: Config) -> tuple[Document, ...]:
    """For an estimate: as many pages as the look around may find, of usual length."""
    return tuple(Document(text="line of a page\n" * 200, source=f"/{at}") for at in range(config.synthesis.map_pages))


def _document(page: Observation, at: int) -> Document:
    return Document(text=without_references(page.text), source=page.url or f"page {at}", title=page.title)
