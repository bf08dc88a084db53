"""Whether a model whose weights are quantized can be loaded here, as the installed libraries say. They are asked only
where a model is quantized, since transformers imports torch to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from byheart.errors import ModelError
from byheart.models import folder


def method(path: Path) -> str | None:
    """How the weights of the model in `path` are quantized, such as "bitsandbytes"; None where they are not."""
    settings = _settings(path)
    return str(settings.get("quant_method", "an unnamed method")) if settings else None


def check(path: Path, trained: bool) -> None:
    """Raises ModelError where the weights of the model in `path` are quantized and transformers can't load them here,
    or, if it is to be `trained`, not train an adapter on them."""
    settings = _settings(path)
    if not settings:
        return
    from transformers.quantizers import AutoHfQuantizer

    try:
        quantizer = AutoHfQuantizer.from_config(dict(settings), pre_quantized=True)
        quantizer.validate_environment(device_map=None)
        whole = quantizer.quantization_config.to_dict().get("dequantize")  # where it could not do otherwise
        trainable = whole or quantizer.is_trainable
    except Exception as error:  # each method has errors of its own
        raise ModelError(refusal(path, "transformers", error)) from None
    if trained and not trainable:
        raise ModelError(refusal(path, "transformers", "weights of this kind can't be trained on"))


def refusal(path: Path, library: str, why: object) -> str:
    """That `library` can't use the quantized weights of the model in `path`, and what to do."""
    return (
        f"{path}: the weights are quantized ({method(path)}), which {library} can't use here: "
        f"{' '.join(str(why).split())[:300]}; name the model that is not quantized (objective.load_in_4bit quantizes "
        "it for training), or install what is missing"
    )


def _settings(path: Path) -> dict[str, Any]:
    settings: Any = folder.read(path / "config.json").get("quantization_config")
    return settings if isinstance(settings, dict) else {}
