"""Weights on disk, made from other weights: GGUF to safetensors, and a base with an adapter merged in.

Both need torch, so both run in a child process: `python -m pipeline.weights convert FILE.gguf DIR` and
`python -m pipeline.weights merge BASE ADAPTER`. Nothing is imported from torch before that.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.errors import EngineError
from pipeline.types import Policy


def of_policy(policy: Policy, base: Path) -> Path:
    """The directory with the plain weights of `policy`, which is what engines load; `base` is the base model's.

    Training leaves the merged weights beside the adapter; where they are gone they are made again. Raises EngineError
    where that fails.
    """
    return _merged(base, policy.adapter) if policy.adapter else base


def of_scorer(policy: Policy, base: Path) -> Path:
    """The same for the scorer of `policy`, which has to have one."""
    assert policy.scorer
    return _merged(base, policy.scorer)


def _merged(base: Path, adapter: Path) -> Path:
    target = adapter.parent / "merged"
    if not target.is_dir():
        in_child("merge", base, adapter)
    return target


def in_child(what: str, *paths: Path) -> None:
    """Run `convert` or `merge` in a process of its own. Raises EngineError with the end of what it printed."""
    command = [sys.executable, "-m", "pipeline.weights", what, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"{what} of {paths[0]} to {paths[1]} failed:\n{done.stderr[-2000:]}")


def convert(source: Path, target: Path) -> None:
    """A GGUF file as float32 safetensors with its tokenizer, in the new directory `target`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    # transformers keeps the marks of the quantization on weights that are plain by now, and then refuses to save.
    for holder, marks in (
        (model, ("hf_quantizer", "is_quantized", "quantization_method")),
        (model.config, ("quantization_config",)),
    ):
        for mark in marks:
            if hasattr(holder, mark):
                delattr(holder, mark)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)


def merge(base: Path, adapter: Path) -> None:
    """The model in `base` with `adapter` merged in, saved as `merged` beside the adapter."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype="auto"), adapter)
    save_merged(model, AutoTokenizer.from_pretrained(base), adapter)


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
