"""What a recipe would take of GPUs, worked out from the shape of its model. Estimates, to be held against a run.

Memory. vLLM has its share of each GPU: the weights in bfloat16, split over tensor_parallel GPUs, and keys and values in
the rest. It sleeps while something is trained, which leaves its CUDA context. Training holds the weights in bfloat16
(in 4 bits about 0.6 bytes each), 16 bytes for each of LoRA's own (itself, its gradient and Adam's two moments, in
float32), and for each token of the rows that are taken at a time what the layers keep for the way back: in bytes
2 (6 hidden + 2 key-value + 4 feed-forward) a layer, or with gradient checkpointing 2 hidden a layer and one layer as
well. trl computes the loss in chunks, so logits count for nothing.

Time. A step of decoding reads all weights at 0.6 of the memory's bandwidth and spends 8 ms beside that, whatever it
decodes; a token that is trained on costs 4 operations a parameter (6 with gradient checkpointing) at 0.35 of what the
GPU can do. A solution is taken to have 3/8 of the tokens that it may have, and a strategy to take half way between the
fewest samples and the most.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import psutil

from byheart import models
from byheart.engines import vllm
from byheart.errors import EngineError
from byheart.machine import Gpu
from byheart.objectives import launch
from byheart.recipe import Recipe

GIB = 2**30
CONTEXT = 1.5 * GIB
"""What a process takes of a GPU before it has done anything."""

SPEEDS = {
    "H200": (4.8e12, 989e12),
    "H100": (3.35e12, 989e12),
    "A100": (2.0e12, 312e12),
    "L40S": (0.86e12, 362e12),
    "L40": (0.86e12, 181e12),
    "4090": (1.0e12, 165e12),
    "3090": (0.94e12, 71e12),
    "L4": (0.3e12, 121e12),
}
"""Bytes a second of memory, and operations a second in bfloat16 without sparsity, by a word of the GPU's name: the data
sheets of their maker."""


@dataclass(frozen=True)
class Shape:
    """A Llama: its layers and their widths, in numbers; `parameters` of all of it."""

    layers: int
    hidden: int
    feed: int
    keys: int  # heads of keys x their size
    parameters: int
    heads: int

    def adapter(self, rank: int) -> int:
        """Parameters of a LoRA adapter on every linear layer."""
        ends = 2 * self.hidden + 2 * (self.hidden + self.keys) + 2 * self.hidden + 3 * (self.hidden + self.feed)
        return rank * self.layers * ends

    def cache(self, width: int) -> int:
        """Bytes of keys and values for one token, `width` bytes a number."""
        return 2 * self.layers * self.keys * width

    def kept(self, checkpointing: bool) -> int:
        """Bytes that one token keeps for the way back."""
        layer = 2 * (6 * self.hidden + 2 * self.keys + 4 * self.feed)
        return 2 * self.hidden * self.layers + layer if checkpointing else layer * self.layers


KNOWN = {
    "meta-llama/Llama-3.2-1B-Instruct": Shape(16, 2048, 8192, 512, 1_235_814_400, 32),
    "meta-llama/Llama-3.2-3B-Instruct": Shape(28, 3072, 8192, 1024, 3_212_749_824, 24),
    "meta-llama/Llama-3.1-8B-Instruct": Shape(32, 4096, 14336, 1024, 8_030_261_248, 32),
}
"""Models that can be reckoned with before they are on this machine: from their config.json."""


def shape(options: models.Options) -> Shape | None:
    """The shape of a recipe's model; None where it is neither here nor known."""
    path = models.find(options)
    if path is None:
        return KNOWN.get(options.name)
    found = models.config(path)
    try:
        layers, hidden, feed = found["num_hidden_layers"], found["hidden_size"], found["intermediate_size"]
    except KeyError:
        return None  # it is no Llama
    keys = models.cache_bytes(path, 1, 1) // (2 * layers)
    return Shape(layers, hidden, feed, keys, models.num_parameters(path), found["num_attention_heads"])


def without_gpu(recipe: Recipe, model: Shape) -> str:
    """What sampling and training take of this machine's memory together, in float32, and whether it has so much; 1.5
    GiB in each process are libraries."""
    weights, free = 4 * model.parameters, psutil.virtual_memory().available
    training, sampling = 2 * weights + 1.5 * GIB, 0.0
    if recipe.engine.name not in ("ray", "server"):  # which sample elsewhere
        path = models.find(recipe.model)
        context = min(recipe.model.max_context, models.context_length(path)) if path else recipe.model.max_context
        cache = model.cache(4) * context * vllm.at_once(recipe.engine, gpu=False)
        served = 2 if recipe.objective.name in ("step_value", "vstar") else 1  # with the scorer that these train
        sampling = served * (weights + cache) + 1.5 * GIB
    taken = f"about {training / GIB:.1f} GiB for training"
    taken += f", beside {sampling / GIB:.1f} GiB for the engine" if sampling else ""
    verdict = "it fits" if sampling + training < free else "it does NOT fit: a smaller model, or a machine with a GPU"
    return f"memory: {taken}, in float32, of {free / GIB:.1f} GiB that are free: {verdict} (estimated)"


def memory(recipe: Recipe, model: Shape, gpus: list[Gpu]) -> tuple[list[str], bool]:
    """Lines that say what sampling and training take of each of `gpus`, and whether both fit."""
    each, trained = getattr(recipe.engine, "each", recipe.engine), recipe.objective
    room = min(one.memory for one in gpus)
    lines, fits = [], True
    if each.name == "vllm":
        try:
            split, copies = vllm.layout(each, 2 * model.parameters, model.heads, gpus)
        except EngineError as error:
            return [str(error)], False
        weights, share = 2 * model.parameters / split, each.gpu_memory * room
        tokens = max(0, int((share - weights - CONTEXT) / (model.cache(2) / split)))
        fits = tokens >= recipe.model.max_context
        lines.append(
            f"sampling: {copies} x {split} GPU(s), {weights / GIB:.1f} GiB of weights on each, and room for {tokens:,} "
            f"tokens beside them, {tokens // recipe.model.max_context} sequences at full length of the "
            f"{vllm.at_once(each, True)} at once"
        )
    if trained.name != "none":
        taken = training(recipe, model, len(gpus))
        fits = fits and taken + CONTEXT < room
        lines.append(
            f"training: {taken / GIB:.1f} GiB of the {(room - CONTEXT) / GIB:.1f} GiB of a GPU that vLLM's sleep leaves"
        )
        if taken + CONTEXT >= room:
            lines.append("less: a larger objective.accumulation, gradient_checkpointing: true, then quantized: true")
    return lines, fits


def training(recipe: Recipe, model: Shape, gpus: int) -> float:
    """Bytes that training takes of each GPU, its rows all at full length."""
    options = recipe.objective
    rows = max(1, options.batch_size // (launch.shared(options, gpus) * options.accumulation))
    rows *= 2 if options.name in ("preference", "vstar") else 1  # both of a pair at once
    base = (0.6 if options.quantized else 2) * model.parameters
    kept = rows * recipe.model.max_context * model.kept(options.gradient_checkpointing)
    return float(CONTEXT + base + 16 * model.adapter(options.rank) + kept)


def minutes(
    recipe: Recipe, model: Shape, gpus: list[Gpu], sizes: dict[str, int], prompt: int
) -> dict[str, float] | None:
    """Minutes of a round's stages; None where a GPU's speed is not known, or the strategy says no number of samples.
    `sizes` are problems a split, `prompt` the tokens of one."""
    speed = next((pair for name, pair in SPEEDS.items() if re.search(rf"\b{name}\b", gpus[0].name)), None)
    strategy, asked, options = recipe.strategy, recipe.evaluation, recipe.objective
    each = getattr(recipe.engine, "each", recipe.engine)
    if speed is None or not hasattr(strategy, "max_samples") or each.name != "vllm":
        return None
    bandwidth, operations = speed
    split, copies = vllm.layout(each, 2 * model.parameters, model.heads, gpus)
    step = 2 * model.parameters / split / (0.6 * bandwidth) + 0.008
    rate = copies * vllm.at_once(each, True) / step  # tokens a second
    long = 3 / 8 * strategy.max_tokens
    samples = (getattr(strategy, "samples", strategy.max_samples) + strategy.max_samples) / 2
    measured = sizes["held_out"] + sizes["dev"] + min(sizes["train"], asked.num_train)
    answers = measured * (asked.fast.max_tokens + 3 / 8 * asked.worked.max_tokens * (1 + asked.samples))
    thought = (min(sizes["dev"], asked.num_slow) + min(sizes["held_out"], asked.num_slow)) * samples * long
    found = {
        "baseline": (answers + thought) / rate / 60,
        "sample": min(sizes["train"] * samples * long, recipe.sample_tokens or math.inf) / rate / 60,
        "evaluate": answers / rate / 60,
    }
    if options.name == "sft":
        rows = options.steps(sizes["train"] * recipe.curation.keep) * options.batch_size
        each_token = (6 if options.gradient_checkpointing else 4) * model.parameters
        found["train"] = (
            rows * (prompt + long) * each_token / (0.35 * operations * launch.shared(options, len(gpus))) / 60
        )
    return found


def said(recipe: Recipe, model: Shape, gpus: list[Gpu], sizes: dict[str, int], prompt: int) -> list[str]:
    """All of it in lines."""
    lines, fits = memory(recipe, model, gpus)
    names = ", ".join(sorted({one.name for one in gpus}))
    verdict = "it fits" if fits else "it does NOT fit"
    found = minutes(recipe, model, gpus, sizes, prompt) if fits else None
    took = f"a round takes about {sum(found.values()):.0f} minutes: " if found else ""
    took += "training not counted, " * (bool(found) and recipe.objective.name not in ("sft", "none"))
    took += ", ".join(f"{stage} {value:.1f}" for stage, value in (found or {}).items())
    return [f"GPUs: {len(gpus)} x {names}, {verdict} (estimated)", *lines, *([took] if took else [])]
