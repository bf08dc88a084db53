"""The files of a model's directory: which of them hold its weights, what is missing, and what is broken. Nothing is
loaded; of weights only the headers are read.

The weights are what transformers loads, and so what is trained: the files that model.safetensors.index.json lists, else
model.safetensors, else pickled ones. Others beside them, such as consolidated.safetensors, are not the model's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from byheart.errors import ModelError, described

WHOLE = "model.safetensors"
_INDEX = f"{WHOLE}.index.json"
_PICKLED_INDEX = "pytorch_model.bin.index.json"
_PICKLED = ("*.bin", "*.pt", "*.pth")
_CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
_OTHERS = ("tokenizer.json", "tokenizer.model", "chat_template.jinja")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
"""A model has one of these, whatever its kind."""
_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_SHOWN = 3
_MAX_NAME = 256

UNTRUSTED = (
    "the weights are pickled, and loading a pickle can run any code; convert them to safetensors, or set "
    "model.allow_pickle=true if you trust their author"
)


def check(folder: Path, allow_pickle: bool) -> None:
    """Raises ModelError where a file of the model in `folder` is missing, cut off or a pointer of Git LFS, where there
    are two sets of weights, and where they are pickled, unless that is allowed."""
    for name in (*_CONFIGS, *_OTHERS):
        if (folder / name).is_file():
            _check_pointer(folder / name)
    for name in _CONFIGS:
        if name == "config.json" or (folder / name).is_file():
            read(folder / name)
    names = weights(folder)
    if absent := [name for name in names if not (folder / name).is_file()]:
        if names == [WHOLE]:
            raise ModelError(
                f"{folder}: no weights here ({WHOLE}, or {_INDEX} and the files that it lists); a config alone can't "
                "be sampled from"
            )
        raise ModelError(
            f"{folder}: {len(absent)} of {len(names)} files of weights missing: {few(absent)}; get them too"
        )
    if WHOLE not in names and (folder / WHOLE).is_file():
        raise ModelError(
            f"{folder} has two sets of weights, {WHOLE} and the files that {_INDEX} lists, and libraries differ in "
            "which they load: move one of them away"
        )
    for name in names:
        _check_pointer(folder / name)
    if _pickled(names):
        if not allow_pickle:
            raise ModelError(f"{folder}: {UNTRUSTED}")
        return
    for name in names:
        shapes(folder / name)


def weights(folder: Path) -> list[str]:
    """The names of the files that hold the weights of the model in `folder`; of safetensors and of indexed ones
    whether they are there or not. Raises ModelError where an index is broken."""
    for index in (_INDEX, _PICKLED_INDEX):
        if index == _PICKLED_INDEX and (folder / WHOLE).is_file():
            break
        if (folder / index).is_file():
            return _listed(folder / index)
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    return pickled if pickled and not (folder / WHOLE).is_file() else [WHOLE]


def missing(folder: Path) -> list[str]:
    """What the model in `folder` needs and does not have, by name. Raises ModelError where an index is broken."""
    absent = [name for name in ("config.json", *weights(folder)) if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        absent.append("the tokenizer")
    return absent


def beside(folder: Path) -> list[str]:
    """The safetensors files in `folder` that are none of its model's."""
    return sorted({path.name for path in folder.glob("*.safetensors")} - set(weights(folder)))


def indexed(folder: Path) -> bool:
    """Whether the model in `folder` says by an index which of the files are its weights."""
    return (folder / _INDEX).is_file()


def shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in a safetensors file, by its header. Raises ModelError where that is broken, or the
    file shorter than it says."""
    from huggingface_hub import parse_local_safetensors_file_metadata
    from huggingface_hub.errors import SafetensorsParsingError

    try:
        metadata = parse_local_safetensors_file_metadata(file)
        with file.open("rb") as stream:
            begin = 8 + int.from_bytes(stream.read(8), "little")
        wanted = begin + max((tensor.data_offsets[1] for tensor in metadata.tensors.values()), default=0)
    except OSError as error:
        raise ModelError(f"{file} can't be read: {error.strerror}") from None
    except (SafetensorsParsingError, AttributeError, LookupError, TypeError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{file}: the weights can't be read ({why}); the file is cut off or damaged: remove it and get it again"
        ) from None
    if (size := file.stat().st_size) < wanted:
        raise ModelError(
            f"{file}: the weights are cut off, {size:,} of {wanted:,} bytes are there; remove the file and get it again"
        )
    return {name: tuple(tensor.shape) for name, tensor in metadata.tensors.items()}


def read(path: Path) -> dict[str, Any]:
    """The JSON object in a file of the model. Raises ModelError where it is missing or broken."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} can't be read ({error}); is this a transformers model?") from None
    if not isinstance(content, dict):
        raise ModelError(f"{path} is {described(content)}, not a JSON object; is this a transformers model?")
    return content


def few(names: list[str]) -> str:
    """The first of `names`, and how many there are besides."""
    more = len(names) - _MAX_SHOWN
    return ", ".join(names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _check_pointer(file: Path) -> None:
    with file.open("rb") as stream:
        if stream.read(len(_POINTER)) == _POINTER:
            raise ModelError(f"{file} is a pointer of Git LFS and not the file itself: git lfs pull, in {file.parent}")


def _pickled(names: list[str]) -> bool:
    return not names[0].endswith(".safetensors")


def _names_a_file(name: Any) -> bool:
    """Whether an index names a file of its own directory by this."""
    return isinstance(name, str) and Path(name).name == name and 0 < len(name.encode(errors="replace")) < _MAX_NAME


def _listed(index: Path) -> list[str]:
    """The files that an index lists."""
    _check_pointer(index)
    files = read(index).get("weight_map")
    if not isinstance(files, dict) or not files or not all(_names_a_file(name) for name in files.values()):
        raise ModelError(f"{index} does not say which files hold the weights: it has no weight_map of file names")
    return sorted(set(files.values()))
