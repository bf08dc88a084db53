"""A LoRA adapter on disk: its rank and alpha, the modules it is on, and whether it fits a model. No torch is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from byheart.errors import ModelError
from byheart.models import folder, quantization

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Lora:
    """What adapter_config.json of an adapter says. `rank` is the largest of any module; `base` is the model that it was
    trained on, as it was called there; `some_layers` whether it is meant for certain layers only."""

    rank: int
    alpha: float
    targets: str
    variants: tuple[str, ...]
    base: str | None
    some_layers: bool

    @classmethod
    def read(cls, adapter: Path) -> Self:
        """The adapter in the directory `adapter`. Raises ModelError where its configuration is missing, broken, or of
        another kind of adapter."""
        raw = folder.read(adapter / CONFIG)
        try:
            if raw.get("peft_type", "LORA") != "LORA":
                raise ModelError(f"{adapter}: an adapter of the type {raw['peft_type']}; byheart takes those of LoRA")
            return cls(
                rank=max(raw["r"], *(raw.get("rank_pattern") or {}).values(), 0),
                alpha=raw["lora_alpha"],
                targets=_targets(raw.get("target_modules")),
                variants=tuple(name for key, name in _VARIANTS.items() if raw.get(key)),
                base=raw.get("base_model_name_or_path"),
                some_layers=_on_some_layers(raw),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ModelError(f"{adapter / CONFIG}: not what peft writes of an adapter of LoRA ({error!r})") from None

    def __str__(self) -> str:
        """In words, such as "rank 16, alpha 32, on q_proj, v_proj"."""
        variants = f" ({', '.join(self.variants)})" if self.variants else ""
        return f"rank {self.rank}, alpha {self.alpha:g}{variants}, on {self.targets}"


_VARIANTS = {"use_dora": "DoRA", "use_rslora": "rsLoRA"}


def _targets(modules: Any) -> str:
    if modules == "all-linear":
        return "every linear layer"
    return modules if isinstance(modules, str) else ", ".join(sorted(modules or ())) or "?"


def _on_some_layers(raw: dict[str, Any]) -> bool:
    modules = raw.get("target_modules") or []
    by_pattern = isinstance(modules, str) and modules != "all-linear"
    named = any(re.search(r"(^|\.)\d+\.", module) for module in modules)
    return bool(raw.get("layers_to_transform") is not None or raw.get("exclude_modules") or by_pattern or named)


_COPY = re.compile(r"([-_.](unsloth|bnb|nf4|fp4|fp8|fp16|bf16|int4|int8|4bit|8bit|awq|gptq|gguf|quantized))+$")
"""What the name of a model ends with where it is a copy in another format."""


def names_another(base: str | None, hub: str) -> bool:
    """Whether `base` is the name on the hub of another model than `hub`: not of the same in other letters, of a mirror
    or of a quantized copy. A path, which is what the model was called on another machine, names none."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", base or ""):
        return False
    own, other = (_COPY.sub("", name.lower().partition("/")[2].removeprefix("meta-")) for name in (hub, base or ""))
    return own != other


def misfit(adapter: Path, model: Path) -> str | None:
    """Why the weights of the adapter in `adapter` don't fit those of the model in `model`; None where they do, or where
    nothing says the shapes of the model's, as they are pickled or quantized. Raises ModelError where a file is broken.
    """
    files = [model / name for name in folder.weights(model) if name.endswith(".safetensors")]
    if not files or quantization.method(model):
        return None
    base, modules = _shapes(*files), _modules(_shapes(adapter / WEIGHTS))
    groups = {tensor[: dot.start()] for tensor in base for dot in re.finditer(r"\.", tensor)}  # such as all experts
    for name, shape in modules.items():
        without_prefix = name.partition(".")[2]  # files of GPT-2 and BLOOM leave "transformer." out
        known = base.get(f"{name}.weight") or base.get(f"{without_prefix}.weight")
        if known is None and not (name.endswith("lm_head") or name in groups):  # the model may share its embeddings
            return f"it is on {name}, which the model does not have"
        if known is not None and sorted(known) != sorted(shape):  # some layers keep their weights transposed
            return f"{name} is {_size(known)} in the model, and the adapter was made for {_size(shape)}"
    missing = _layers(base) - _layers(modules)
    if missing and _layers(modules) and not Lora.read(adapter).some_layers:
        return f"it has nothing for {len(missing)} of the model's {len(_layers(base))} layers"
    return None


def _shapes(*files: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in these safetensors files, by name."""
    return {name: shape for file in files for name, shape in folder.shapes(file).items()}


def _modules(tensors: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """The modules that the adapter is on, each with the (outputs, inputs) that it was made for."""
    sides: dict[str, dict[str, int]] = {}
    for name, shape in tensors.items():
        if match := re.fullmatch(r"base_model\.model\.(.+)\.lora_([AB])\.weight", name):
            sides.setdefault(match[1], {})[match[2]] = shape[1] if match[2] == "A" else shape[0]
    return {name: (side["B"], side["A"]) for name, side in sides.items() if len(side) == 2}


def _layers(names: Iterable[str]) -> set[str]:
    """The numbers of the layers that these tensors or modules are in."""
    return {match[1] for name in names if (match := re.search(r"\.layers\.(\d+)\.", name))}


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
