"""Memory and time that a recipe would take of GPUs, from the shape of its model. Estimates, to be compared with a run.

Memory. vLLM has its share of each GPU: the weights in bfloat16, split over tensor_parallel_size GPUs, and keys and
values in the rest. It sleeps during training, when only its CUDA context remains. Training holds the weights in
bfloat16 (in 4 bits about 0.6 bytes each), 16 bytes for each weight of LoRA (itself, its gradient and Adam's two
moments, in float32), and for each token of a micro-batch the activations kept for the backward pass: in bytes 2 (6
hidden + 2 key-value + 4 feed-forward) a layer, or with gradient checkpointing 2 hidden a layer and one whole layer. trl
computes the loss in chunks, so logits are left out.

Time. A decoding step reads all weights at 0.6 of the memory's bandwidth and takes 8 ms besides, whatever it decodes; a
trained token costs 4 operations a parameter (6 with gradient checkpointing) at 0.35 of the GPU's peak. A solution is
assumed to have 3/8 of its most tokens, and a strategy to take the mean of its fewest and its most samples.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from byheart.config.recipe import Recipe
from byheart.engines.vllm import VLLM, layout
from byheart.errors import EngineError
from byheart.evaluation.controls import ControlOptions
from byheart.models import checkpoint, limits
from byheart.models.machine import Gpu
from byheart.objectives.sft import SFT, num_steps
from byheart.trainer import launch

GIB = 2**30
CONTEXT = 1.5 * GIB
"""Bytes that a process takes of a GPU before it does anything."""

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
"""A word of the GPU's name -> (bytes of memory a second, bfloat16 operations a second without sparsity), from the data
sheets."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama: its layers and their widths, and the `parameters` of the whole model."""

    layers: int
    hidden: int
    feed: int
    keys: int  # key-value heads x head size
    parameters: int
    heads: int

    def adapter(self, rank: int) -> int:
        """Parameters of a LoRA adapter on every linear layer."""
        ends = 2 * self.hidden + 2 * (self.hidden + self.keys) + 2 * self.hidden + 3 * (self.hidden + self.feed)
        return rank * self.layers * ends

    def cache(self, width: int) -> int:
        """Bytes of keys and values for one token, `width` bytes a number."""
        return 2 * self.layers * self.keys * width

    def activations(self, checkpointing: bool) -> int:
        """Bytes that one token keeps for the backward pass."""
        layer = 2 * (6 * self.hidden + 2 * self.keys + 4 * self.feed)
        return 2 * self.hidden * self.layers + layer if checkpointing else layer * self.layers


KNOWN = {
    "meta-llama/Llama-3.2-1B-Instruct": Shape(16, 2048, 8192, 512, 1_235_814_400, 32),
    "meta-llama/Llama-3.2-3B-Instruct": Shape(28, 3072, 8192, 1024, 3_212_749_824, 24),
    "meta-llama/Llama-3.1-8B-Instruct": Shape(32, 4096, 14336, 1024, 8_030_261_248, 32),
}
"""Shapes of models that need not be on this machine, from their config.json."""


def shape(options: checkpoint.ModelOptions) -> Shape | None:
    """The shape of a recipe's model; None if it is neither on this machine nor known."""
    path = checkpoint.find(options)
    if path is None:
        return KNOWN.get(options.name)
    config = checkpoint.config(path)
    try:
        layers, hidden, feed = config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"]
    except KeyError:
        return None  # not a Llama
    keys = checkpoint.cache_bytes(path, 1, 1) // (2 * layers)
    return Shape(layers, hidden, feed, keys, checkpoint.num_parameters(path), config["num_attention_heads"])


def without_gpu(recipe: Recipe, model: Shape) -> str:
    """A line with the memory of this machine that sampling and training take together, in float32, and whether it is
    free. Libraries take 1.5 GiB in each process."""
    weights, free = 4 * model.parameters, limits.memory().available
    training, sampling = 2 * weights + 1.5 * GIB, 0.0
    if not (recipe.engine.remote or recipe.executor.remote):
        path = checkpoint.find(recipe.model)
        context = min(recipe.model.max_context, checkpoint.context_length(path)) if path else recipe.model.max_context
        cache = model.cache(4) * context * recipe.engine.at_once(gpu=False)
        served = 2 if recipe.objective.trains_scorer else 1
        sampling = served * (weights + cache) + 1.5 * GIB
    needed = f"about {training / GIB:.1f} GiB for training"
    needed += f", beside {sampling / GIB:.1f} GiB for the engine" if sampling else ""
    verdict = "it fits" if sampling + training < free else "it does NOT fit: a smaller model, or a machine with a GPU"
    return f"memory: {needed}, in float32, of {free / GIB:.1f} GiB that are free: {verdict} (estimated)"


def memory(recipe: Recipe, model: Shape, gpus: list[Gpu]) -> tuple[list[str], bool]:
    """Lines with the memory that sampling and training take of each of `gpus`, and whether both fit."""
    worker, objective = recipe.engine, recipe.objective
    smallest = min(gpu.memory for gpu in gpus)
    lines, fits = [], True
    if isinstance(worker, VLLM):
        try:
            split, copies = layout(worker, 2 * model.parameters, model.heads, gpus)
        except EngineError as error:
            return [str(error)], False
        weights, share = 2 * model.parameters / split, worker.gpu_memory_utilization * smallest
        tokens = max(0, int((share - weights - CONTEXT) / (model.cache(2) / split)))
        fits = tokens >= recipe.model.max_context
        lines.append(
            f"sampling: {copies} x {split} GPU(s), {weights / GIB:.1f} GiB of weights on each, and room for {tokens:,} "
            f"tokens beside them, {tokens // recipe.model.max_context} sequences at full length of the "
            f"{worker.at_once(True)} at once"
        )
    if isinstance(objective, SFT):
        needed = training(recipe, objective, model, len(gpus))
        fits = fits and needed + CONTEXT < smallest
        lines.append(
            f"training: {needed / GIB:.1f} GiB of the {(smallest - CONTEXT) / GIB:.1f} GiB of a GPU while vLLM sleeps"
        )
        if needed + CONTEXT >= smallest:
            lines.append(
                "less: a larger objective.gradient_accumulation_steps, gradient_checkpointing: true, then "
                "load_in_4bit: true"
            )
    return lines, fits


def training(recipe: Recipe, objective: SFT, model: Shape, gpus: int) -> float:
    """Bytes that training takes of each GPU, with all rows at full length."""
    rows = max(1, objective.rows_at_once() // launch.shared(objective, gpus))
    rows *= 2 if objective.needs_pairs else 1  # both of a pair at once
    base = (0.6 if objective.load_in_4bit else 2) * model.parameters
    activations = rows * recipe.model.max_context * model.activations(objective.gradient_checkpointing)
    return float(CONTEXT + base + 16 * model.adapter(objective.lora_r) + activations)


def minutes(
    recipe: Recipe, model: Shape, gpus: list[Gpu], sizes: dict[str, int], prompt: int, n: int = 1
) -> dict[str, float] | None:
    """Minutes of the stages of round `n`; None if a GPU's speed is unknown, or the strategy has no budget. `sizes` are
    the problems of each split, `prompt` the tokens of one prompt."""
    speed = next((pair for name, pair in SPEEDS.items() if re.search(rf"\b{name}\b", gpus[0].name)), None)
    budget, evaluation, objective = recipe.strategy.budget(), recipe.evaluation, recipe.objective
    worker = recipe.engine
    if speed is None or budget is None or not isinstance(worker, VLLM):
        return None
    bandwidth, operations = speed
    split, copies = layout(worker, 2 * model.parameters, model.heads, gpus)
    step = 2 * model.parameters / split / (0.6 * bandwidth) + 0.008
    rate = copies * worker.at_once(True) / step  # tokens a second
    long = 3 / 8 * budget.max_tokens
    samples = (budget.fewest + budget.most) / 2
    measured = sizes["held_out"] + sizes["dev"] + min(sizes["train"], evaluation.num_train)
    worked = 3 / 8 * evaluation.worked.max_tokens
    answers = measured * (evaluation.fast.max_tokens + worked * (1 + evaluation.samples))
    answers += 3 / 8 * sum(other.task.num_held_out * other.max_tokens for other in evaluation.also.values())
    num_slow = min(sizes["dev"], evaluation.num_slow) + min(sizes["held_out"], evaluation.num_slow)
    stages = {
        "baseline": (answers + num_slow * samples * long) / rate / 60,
        "sample": min(sizes["train"] * samples * long, recipe.sample_tokens or math.inf) / rate / 60,
        "evaluate": answers / rate / 60,
    }
    asked = evaluation.controls
    if n == 1 and asked != ControlOptions():
        greedy = asked.num_greedy * (evaluation.fast.max_tokens + worked)
        controls = sizes["held_out"] * (greedy + asked.majority * worked)
        stages["controls"] = (controls + sizes["dev"] * len(asked.prompts) * worked) / rate / 60
    if isinstance(objective, SFT) and not (objective.needs_pairs or objective.trains_scorer):
        rows = num_steps(objective, sizes["train"] * recipe.curation.keep) * objective.global_batch_size
        per_token = (6 if objective.gradient_checkpointing else 4) * model.parameters
        speed_up = 0.35 * operations * launch.shared(objective, len(gpus))
        stages["train"] = rows * (prompt + long) * per_token / speed_up / 60
    return stages


def lines(recipe: Recipe, model: Shape, gpus: list[Gpu], sizes: dict[str, int], prompt: int, n: int = 1) -> list[str]:
    """Memory and time of round `n` on `gpus`, in lines for the user; the arguments are those of `minutes`."""
    details, fits = memory(recipe, model, gpus)
    names = ", ".join(sorted({gpu.name for gpu in gpus}))
    verdict = "it fits" if fits else "it does NOT fit"
    stages = minutes(recipe, model, gpus, sizes, prompt, n) if fits else None
    if stages:
        uncounted = "training not counted, " if "train" not in stages and recipe.objective.trains else ""
        parts = ", ".join(f"{stage} {value:.1f}" for stage, value in stages.items())
        details.append(f"a round takes about {sum(stages.values()):.0f} minutes: {uncounted}{parts}")
    return [f"GPUs: {len(gpus)} x {names}, {verdict} (estimated)", *details]
