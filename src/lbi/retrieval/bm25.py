"""Search for the texts that fit a query best, by BM25 (tantivy).

Query words are analysed here and looked up as terms, so an untrusted text cannot contain query syntax.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import tantivy

_ANALYSER = "lbi"
_WORD = re.compile(r"\w+")
_MAX_TERMS = 48
_COMMON = 0.1  # a word in more than this share of the entries says little and costs most of the time
_MANY = 1000  # number of entries from which on common words are left out of queries
#: words that say nothing of what is asked for; BM25 alone takes them for telling where labels have few of them
_STOP_WORDS = frozenset(
    """a about also an and any are as at be been being both but by can could did do does each for from had has have he
    her his how i if in into is it its just may me might must my no not of on only or our out please shall she should
    so some than that the their them then there these they this those to too up us very was we were what when where
    which who whom whose why will with would you your""".split()  # noqa: SIM905
)
_HEAP = 64_000_000  # bytes of the writer's buffer


class Entry(NamedTuple):
    """A text with its number, the keys that a search can demand, and the tags that a search can exclude."""

    row: int
    text: str
    keys: Collection[int] = ()  # signed 64 bits
    tags: Collection[str] = ()


class TextIndex:
    """A searchable list of texts, in memory or in a folder. Never changes once built."""

    def __init__(self, index: tantivy.Index) -> None:
        self._analyse = _analyser().analyze
        self._schema = index.schema
        self._searcher = index.searcher()
        self.words = lru_cache(maxsize=64)(self._words)  # the same text is often searched with several keys

    @classmethod
    def build(cls, entries: Iterable[Entry], folder: Path | None = None) -> TextIndex:
        """Index the entries in their order; ``folder`` must be empty."""
        return cls(cls._written(tantivy.Index(_schema(), path=str(folder) if folder else None), entries))

    @classmethod
    def write(cls, entries: Iterable[Entry], folder: Path) -> None:
        """Add the entries to those in a folder, whose files are not changed; it is made if there is none.

        Who has the folder open goes on with what was in it.
        """
        if folder.is_dir():
            cls._written(tantivy.Index.open(str(folder)), entries)
        else:
            folder.mkdir(parents=True)
            cls.build(entries, folder)

    @staticmethod
    def _written(index: tantivy.Index, entries: Iterable[Entry]) -> tantivy.Index:
        index.register_tokenizer(_ANALYSER, _analyser())
        writer = index.writer(heap_size=_HEAP, num_threads=1)  # one thread keeps the order, on which ties depend
        for entry in entries:
            writer.add_document(_document(entry))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        return index

    @classmethod
    def open(cls, folder: Path) -> TextIndex:
        return cls(tantivy.Index.open(str(folder)))

    def stems(self, text: str) -> frozenset[str]:
        """The words of a text as they are compared with those of a request."""
        return frozenset(self._analyse(text))

    def __len__(self) -> int:
        return int(self._searcher.num_docs)

    def best(
        self, text: str, limit: int, *, keys: Collection[int] = (), without: Collection[str] = ()
    ) -> list[tuple[int, float]]:
        """(row, score) of the best entries, best first; ties are ordered by row.

        ``keys``: only entries with one of these keys, also those that share no word with the text (score 0).
        ``without``: no entries with one of these tags.
        """
        words = [(tantivy.Occur.Should, self._term("text", word)) for word in self.words(text)]
        demands = [(tantivy.Occur.MustNot, self._term("tag", tag)) for tag in without if self._entries_with(tag)]
        if keys:
            demands.append((tantivy.Occur.Must, self._any_of(list(keys))))
        # entries that cannot be among the best are passed over only where nothing else is demanded
        wanted = [*demands, (tantivy.Occur.Must, tantivy.Query.boolean_query(words))] if demands else words
        hits = self._found(wanted, limit) if words else []
        if keys and len(hits) < limit:  # a second search is faster than one for both if every entry has the key
            rows_found = {row for row, _ in hits}
            rest = self._found(demands, limit + len(rows_found))
            hits += [(row, score) for row, score in rest if row not in rows_found][: limit - len(hits)]
        return hits

    def tagged(self, tags: Collection[str]) -> set[int]:
        """The rows of all entries that have one of these tags."""
        known = {tag: count for tag in tags if (count := self._entries_with(tag))}
        if not known:
            return set()
        query = tantivy.Query.term_set_query(self._schema, "tag", list(known))
        return {row for row, _ in self._found([(tantivy.Occur.Must, query)], min(sum(known.values()), len(self)))}

    def _words(self, text: str) -> tuple[str, ...]:
        """The words of a query to look up: those in the index, rarest first, without the most common ones."""
        count = len(self)
        telling = " ".join(word for word in _WORD.findall(text) if word.casefold() not in _STOP_WORDS)
        words = set(self._analyse(telling)) or set(self._analyse(text))
        known = [(frequency, word) for word in words if (frequency := self._frequency(word))]
        known.sort()
        if count >= _MANY:
            known = [pair for pair in known if pair[0] <= _COMMON * count] or known[:8]
        return tuple(word for _, word in known[:_MAX_TERMS])

    def _frequency(self, word: str) -> int:
        return int(self._searcher.doc_freq("text", word))

    def _entries_with(self, tag: str) -> int:
        return int(self._searcher.doc_freq("tag", tag))

    def _term(self, field: str, value: str) -> Any:
        option = "freq" if field == "text" else "basic"
        return tantivy.Query.term_query(self._schema, field, value, index_option=option)

    def _any_of(self, keys: list[int]) -> Any:
        if len(keys) == 1:  # takes half the time of a set with one key
            query = tantivy.Query.term_query(self._schema, "key", keys[0])
        else:
            query = tantivy.Query.term_set_query(self._schema, "key", keys)
        return tantivy.Query.const_score_query(query, 0.0)

    def _found(self, parts: list[tuple[Any, Any]], limit: int) -> list[tuple[int, float]]:
        if limit <= 0 or not len(self):
            return []
        # a few more than wanted: if scores tie at the limit, the row decides and not the place on disk
        query = tantivy.Query.boolean_query(parts)
        hits = self._searcher.search(query, limit=2 * limit + 8, count=False).hits
        rows: list[Any] = self._searcher.fast_field_values("row", [address for _, address in hits])
        scored = [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True)]
        return best_first(scored)[:limit]


def best_first(scored: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """(row, score) by their scores, and those that tie by row; two sorts that need no Python function for each."""
    ordered = sorted(scored, key=itemgetter(0))
    ordered.sort(key=itemgetter(1), reverse=True)  # keeps the order of those that tie
    return ordered


def _analyser() -> tantivy.TextAnalyzer:
    steps = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (
        tantivy.Filter.remove_long(40),
        tantivy.Filter.lowercase(),
        tantivy.Filter.ascii_fold(),
        tantivy.Filter.stemmer("english"),
    ):
        steps = steps.filter(step)
    return steps.build()


def _schema() -> tantivy.Schema:
    schema = tantivy.SchemaBuilder()
    schema.add_text_field("text", tokenizer_name=_ANALYSER, index_option="freq")
    schema.add_unsigned_field("row", fast=True)
    schema.add_integer_field("key", indexed=True)
    schema.add_text_field("tag", tokenizer_name="raw", index_option="basic")
    return schema.build()


def _document(entry: Entry) -> tantivy.Document:
    document = tantivy.Document()
    document.add_text("text", entry.text)
    document.add_unsigned("row", entry.row)
    for key in entry.keys:
        document.add_integer("key", key)
    for tag in entry.tags:
        document.add_text("tag", tag)
    return document
