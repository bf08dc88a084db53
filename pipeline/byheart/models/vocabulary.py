"""The tokens of a model's tokenizer against the rows of its embedding: a token beyond them can't be looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byheart.errors import ModelError
from byheart.models import folder, template

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_EMBEDDINGS = (
    "embed_tokens.weight",
    "embed_in.weight",
    "tok_embeddings.weight",
    "word_embeddings.weight",
    "wte.weight",
)
"""How the names of the tensors end that have a row for each token."""


def check(path: Path, texts: Iterable[str]) -> None:
    """Raises ModelError where a token that the model in `path` would meet has no row in its embedding: of its
    vocabulary, a special token, one that ends an answer, or one of `texts`."""
    file = path / "tokenizer.json"
    rows = _rows(path)
    if rows is None or not file.is_file():
        return
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library knows no narrower class
        raise ModelError(f"{file} can't be read: {' '.join(str(error).split())[:200]}; get it again") from None
    if (size := tokenizer.get_vocab_size(with_added_tokens=False)) > rows:
        raise ModelError(f"{path}: the tokenizer has {size:,} tokens and the model rows for {rows:,}; one is another's")
    for token, what in _used(path, tokenizer, texts):
        if token >= rows:
            raise ModelError(
                f"{path}: the token {token:,} ({what}) is beyond the {rows:,} rows of the model's embedding; resize "
                "it to the tokenizer, or name a token that the model knows"
            )


def _used(path: Path, tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The tokens that the model would meet, each with what it is for."""
    for name, text in template.special_tokens(path).items():
        if name in ("bos_token", "eos_token", "pad_token"):
            number = tokenizer.token_to_id(text)  # one that it does not know, transformers adds to it
            yield tokenizer.get_vocab_size() if number is None else number, f"{text}, {name} of the tokenizer"
    for name in ("generation_config.json", "config.json"):
        settings = folder.read(path / name) if (path / name).is_file() else {}
        ends: Any = settings.get("eos_token_id")
        for end in ends if isinstance(ends, list) else [ends]:
            if isinstance(end, int):
                yield end, f"eos_token_id of {name}"
    for text in texts:
        for number in tokenizer.encode(text, add_special_tokens=False).ids:
            yield number, f"{tokenizer.id_to_token(number)}, in a prompt or at the end of an answer"


def _rows(path: Path) -> int | None:
    """The rows of the embedding of the model in `path`; None where they are not known."""
    configured: Any = folder.read(path / "config.json").get("vocab_size")
    files = (path / name for name in folder.weights(path) if name.endswith(".safetensors"))
    tensors = (item for file in files for item in folder.shapes(file).items())
    stored = next((shape[0] for name, shape in tensors if name.endswith(_EMBEDDINGS) and shape), None)
    known = [rows for rows in (configured, stored) if isinstance(rows, int)]
    return min(known, default=None)
