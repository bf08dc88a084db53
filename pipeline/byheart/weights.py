"""Weights on disk, made from other weights: GGUF to safetensors, and a base with an adapter merged in.

Both need torch, so both run in a child process: `python -P -m byheart.weights convert FILE.gguf DIR` and
`python -P -m byheart.weights merge BASE ADAPTER`. Nothing is imported from torch before that.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from byheart.errors import EngineError
from byheart.types import Policy, replace


def plain(base: Path, adapter: Path | None) -> Path:
    """The directory with the plain weights of the model in `base` under `adapter`, if any, which is what engines load.

    Training leaves the merged weights beside the adapter; where they are gone they are made again. Raises EngineError
    where that fails.
    """
    if not adapter:
        return base
    target = adapter.parent / "merged"
    if not target.is_dir():
        in_child("merge", base, adapter)
    return target


SIGNS = "signs.json"
"""In the directory of a scorer it says that its scores are values of steps, and by which two tokens it says them."""


def signs(policy: Policy) -> tuple[int, int] | None:
    """The tokens for "+" and "-" of the scorer of `policy`, where it has one that values steps."""
    path = policy.scorer and policy.scorer / SIGNS
    if not (path and path.is_file()):
        return None
    row = json.loads(path.read_text("utf-8"))
    return row["+"], row["-"]


def with_scorer(policy: Policy, scorer: Path | None) -> Policy:
    """The same policy with another scorer, or with none."""
    return policy if scorer == policy.scorer else replace(policy, scorer=scorer, id=name(policy.adapter, scorer))


def name(adapter: Path | None, scorer: Path | None) -> str:
    """The id of a policy: the hash of its adapter's weights, and of its scorer's where it has one."""
    if not (adapter or scorer):
        return "base"
    files = [folder / "adapter_model.safetensors" for folder in (adapter, scorer) if folder]
    return "adapter-" + hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def in_child(what: str, *paths: Path) -> None:
    """Run `convert` or `merge` in a process of its own. Raises EngineError with the end of what it printed."""
    command = [sys.executable, "-P", "-m", "byheart.weights", what, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{what} of {paths[0]} to {paths[1]} failed:\n{done.stderr[-2000:]}")


def convert(source: Path, target: Path) -> None:
    """A GGUF file as float32 safetensors with its tokenizer, in the new directory `target`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32, trust_remote_code=False
    )
    # transformers keeps the marks of the quantization on weights that are plain by now, and then refuses to save.
    for holder, marks in (
        (model, ("hf_quantizer", "is_quantized", "quantization_method")),
        (model.config, ("quantization_config",)),
    ):
        for mark in marks:
            if hasattr(holder, mark):
                delattr(holder, mark)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, trust_remote_code=False).save_pretrained(target)


def merge(base: Path, adapter: Path) -> None:
    """The model in `base` with `adapter` merged in, saved as `merged` beside the adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype="auto", trust_remote_code=False), adapter
    )
    save_merged(model, AutoTokenizer.from_pretrained(base, trust_remote_code=False), adapter)


def save_merged(model: Any, tokenizer: Any, adapter: Path) -> None:
    """Merge the peft `model` in place and save it as `merged` beside `adapter`, whose own files stay."""
    target, part = adapter.parent / "merged", adapter.parent / "merged.part"
    shutil.rmtree(part, ignore_errors=True)
    model.merge_and_unload().save_pretrained(part)
    tokenizer.save_pretrained(part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


if __name__ == "__main__":
    {"convert": convert, "merge": merge}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
