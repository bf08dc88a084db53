"""Models for the tests: SmolLM2-135M, which `make setup` leaves ready, and Llamas of a few thousand weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from byheart import recipe
from byheart.strategies.driver import drive
from byheart.types import Problem, Solver, Verdict, Verify
from byheart.verifiers.judge import Judge
from byheart.verifiers.pool import Pool
from hypothesis import settings

ROOT = Path(__file__).parent.parent

settings.register_profile("byheart", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("byheart")


def interruptible() -> None:
    """For a child that a test sends Ctrl-C, which a shell has its background processes ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def judge_by(verifier: Any = "number") -> Judge:
    """A judge by this verifier, with workers of its own that start only when they are needed."""
    return Judge(recipe.chosen("verifiers", verifier), Pool())


def verdicts_by(verifier: Any, problem: Problem, responses: Sequence[str], engine: Any = None) -> list[Verdict]:
    """What this verifier says of `responses`, asked as a strategy would ask it."""
    found: list[Verdict] = []

    def asks() -> Solver:
        [verdicts] = yield [Verify(problem, responses)]
        found.extend(verdicts)
        return []

    judge = judge_by(verifier)
    try:
        list(drive([(problem, asks())], engine, judge))
    finally:
        judge.close()
    return found


# A chat template in the manner of Llama 3: it writes the beginning-of-text token itself and trims what it is given.
LLAMA3_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


@pytest.fixture(scope="session")
def smollm() -> Path:
    """The directory of SmolLM2-135M-Instruct."""
    from byheart import models

    return models.fetch(models.Options(name="smollm2-135m"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, smollm: Path) -> Path:
    """A Llama with random weights and SmolLM2's tokenizer and chat template."""
    from transformers import AutoTokenizer

    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", AutoTokenizer.from_pretrained(smollm))


@pytest.fixture(scope="session")
def tiny_llama3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights and a tokenizer in Llama 3's manner: BOS, headers, <|eot_id|>."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny-llama3", llama3_tokenizer())


def save_tiny(path: Path, tokenizer: object) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),  # type: ignore[arg-type]
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        bos_token_id=tokenizer.bos_token_id,  # type: ignore[attr-defined]
        eos_token_id=tokenizer.eos_token_id,  # type: ignore[attr-defined]
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)  # type: ignore[attr-defined]
    return path


def llama3_tokenizer() -> object:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    raw.train_from_iterator(["What is 23 + 27? user assistant system 50"], trainer)
    begin = ("<|begin_of_text|>", raw.token_to_id("<|begin_of_text|>"))
    raw.post_processor = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[begin])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        additional_special_tokens=special[2:],
        chat_template=LLAMA3_TEMPLATE,
    )


@pytest.fixture
def byheart(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own, in `tmp_path`."""
    return lambda *arguments: python(tmp_path, "-m", "byheart.cli", *arguments)


def python(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, in `folder`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160", "NO_COLOR": "1"} | env,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
