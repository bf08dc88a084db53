"""Weights on disk made from others: GGUF converted to safetensors, and a base model with an adapter merged in.

Both need torch, so they run in a child process: `python -P -m byheart.models.weights convert FILE.gguf DIR` and
`python -P -m byheart.models.weights merge BASE ADAPTER`. Only the child imports torch.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from byheart.errors import EngineError
from byheart.models import portable
from byheart.types import Policy, replace
from byheart.watch import Watch


def plain(base: Path, adapter: Path | None) -> Path:
    """The directory with the weights of the model in `base`, with `adapter` merged in, if any, as engines load them.

    Training writes the merged weights beside the adapter; if they are missing, `merge` makes the same again. Raises
    EngineError where that fails.
    """
    if not adapter:
        return base
    target = adapter.parent / "merged"
    if not target.is_dir():
        in_child("merge", base, adapter)
    return target


GENERATION = "generation_config.json"

SIGNS = "signs.json"
"""A file in the directory of a scorer that values steps: the ids of its tokens "+" and "-"."""


def signs(policy: Policy) -> tuple[int, int] | None:
    """The ids of the tokens "+" and "-" of the scorer of `policy`; None unless it has one that values steps."""
    path = policy.scorer and policy.scorer / SIGNS
    if not (path and path.is_file()):
        return None
    row = json.loads(path.read_text("utf-8"))
    return row["+"], row["-"]


def with_scorer(policy: Policy, scorer: Path | None) -> Policy:
    """`policy` with another scorer, or with none."""
    return policy if scorer == policy.scorer else replace(policy, scorer=scorer, id=name(policy.adapter, scorer))


def name(adapter: Path | None, scorer: Path | None) -> str:
    """The id of a policy: the hash of the weights of its adapter and scorer; "base" without either."""
    if not (adapter or scorer):
        return "base"
    files = [folder / "adapter_model.safetensors" for folder in (adapter, scorer) if folder]
    return "adapter-" + hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def finite(adapter: Path) -> bool:
    """Whether all weights in the folder `adapter` are numbers, and none of them is infinite. Imports torch."""
    from safetensors.torch import load_file

    return all(bool(tensor.isfinite().all()) for tensor in load_file(adapter / "adapter_model.safetensors").values())


def in_child(action: str, *paths: Path) -> None:
    """Run `convert` or `merge` in a child process. Raises EngineError, with the end of its output, where it fails."""
    command = [sys.executable, "-P", "-m", "byheart.models.weights", action, *map(str, paths)]
    with tempfile.NamedTemporaryFile("w+", suffix=f"-{action}.log", errors="replace") as log:
        with subprocess.Popen(command, stdout=log, stderr=log) as child, Watch(action, child.pid, Path(log.name)):
            try:
                child.wait()
            except BaseException:
                child.kill()
                raise
        if child.returncode:
            log.seek(0)
            raise EngineError(f"{action} of {paths[0]} to {paths[1]} failed:\n{log.read()[-2000:]}")


def convert(source: Path, target: Path) -> None:
    """Write the GGUF file `source` as float32 safetensors, with its tokenizer, to the new directory `target`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32, trust_remote_code=False
    )
    # transformers keeps attributes of the quantization although the weights are plain now, and refuses to save.
    for holder, attributes in (
        (model, ("hf_quantizer", "is_quantized", "quantization_method")),
        (model.config, ("quantization_config",)),
    ):
        for attribute in attributes:
            if hasattr(holder, attribute):
                delattr(holder, attribute)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, trust_remote_code=False).save_pretrained(target)
    portable.rewrite_config(target)
    portable.rewrite_tokenizer(target)


def merge(base: Path, adapter: Path) -> None:
    """Save the model in `base` with `adapter` merged in as `merged` beside the adapter.

    It is done on a CPU, from the files, and in the type that the base is stored in, whatever trained the adapter or
    serves it: made again it is the same, byte for byte.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, GenerationConfig

    settings = GenerationConfig()  # the base's own, which may be one that transformers refuses, is copied
    unadapted = AutoModelForCausalLM.from_pretrained(
        base, dtype="auto", generation_config=settings, trust_remote_code=False
    )
    dtype = unadapted.dtype
    model = PeftModel.from_pretrained(unadapted, adapter, torch_device="cpu").merge_and_unload().to(dtype)
    target, part = adapter.parent / "merged", adapter.parent / "merged.part"
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    (part / GENERATION).unlink(missing_ok=True)
    if (base / GENERATION).is_file():
        shutil.copyfile(base / GENERATION, part / GENERATION)
    portable.rewrite_config(part)
    portable.copy_tokenizer(base, part)
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


if __name__ == "__main__":
    {"convert": convert, "merge": merge}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
