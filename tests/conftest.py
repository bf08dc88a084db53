"""Models for the tests: SmolLM2-135M, which `make setup` leaves ready, and Llamas of a few thousand weights."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from byheart.contracts import Verifier
from byheart.strategies.core.driver import drive
from byheart.types import Problem, Solver, Verdict, Verify
from byheart.verifiers.core.pool import Pool
from byheart.verifiers.core.service import VerifierService
from hypothesis import settings

from tests.warm import Warm

ROOT = Path(__file__).parent.parent

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # before torch is imported: workers that share cores wait for each other's threads
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("byheart", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("byheart")


def interruptible() -> None:
    """For a child that a test sends Ctrl-C, which a shell has its background processes ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def verifier_by(verifier: Any = "number") -> VerifierService:
    """A service for this verifier, with workers of its own that start only when they are needed."""
    return VerifierService(Verifier.parse(verifier), Pool())


def verdicts_by(verifier: Any, problem: Problem, responses: Sequence[str], engine: Any = None) -> list[Verdict]:
    """What this verifier says of `responses`, asked as a strategy would ask it."""
    collected: list[Verdict] = []

    def asks() -> Solver:
        [verdicts] = yield [Verify(problem, responses)]
        collected.extend(verdicts)
        return []

    service = verifier_by(verifier)
    try:
        list(drive([(problem, asks())], engine, service))
    finally:
        service.close()
    return collected


# A chat template in the manner of Llama 3: it writes the beginning-of-text token itself and trims what it is given.
LLAMA3_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that a test calls in its own process keeps the working directory from the processes of that test only:
    see machine.isolate."""
    monkeypatch.setenv("PYTHONSAFEPATH", "")  # empty it has no effect, as if it were not set


@pytest.fixture(scope="session")
def smollm() -> Path:
    """The directory of SmolLM2-135M-Instruct."""
    from byheart.models import checkpoint

    return checkpoint.fetch(checkpoint.ModelOptions(name="smollm2-135m"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, smollm: Path) -> Path:
    """A Llama with random weights and SmolLM2's tokenizer and chat template."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    path.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(smollm / name, path)
    return save_tiny(path, json.loads((smollm / "config.json").read_text())["vocab_size"], bos=1, eos=2)


@pytest.fixture(scope="session")
def tiny_llama3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights and a tokenizer in Llama 3's manner: BOS, headers, <|eot_id|>."""
    path, words = tmp_path_factory.mktemp("models") / "tiny-llama3", llama3_tokenizer()
    words.save_pretrained(path)
    return save_tiny(path, len(words), bos=words.bos_token_id, eos=words.eos_token_id)


def save_tiny(path: Path, vocab_size: int, bos: int, eos: int) -> Path:
    """Two layers of a Llama beside the tokenizer in `path`, written without torch, whose import takes seconds."""
    import numpy
    from safetensors.numpy import save_file

    hidden, inner, kv = 64, 128, 32
    random = numpy.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens": (vocab_size, hidden), "norm": (hidden,)}
    for layer in ("layers.0.", "layers.1."):
        shapes |= {layer + "input_layernorm": (hidden,), layer + "post_attention_layernorm": (hidden,)}
        shapes |= {f"{layer}self_attn.{name}_proj": (hidden, hidden) for name in "qo"}
        shapes |= {f"{layer}self_attn.{name}_proj": (kv, hidden) for name in "kv"}
        shapes |= {f"{layer}mlp.{name}_proj": (inner, hidden) for name in ("gate", "up")}
        shapes |= {layer + "mlp.down_proj": (hidden, inner)}
    tensors = {
        f"model.{name}.weight": (random.normal(0, 0.3, shape) if len(shape) == 2 else numpy.ones(shape)).astype(
            numpy.float32
        )
        for name, shape in shapes.items()
    }
    save_file(tensors, path / "model.safetensors", {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "vocab_size": vocab_size,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 256,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "tie_word_embeddings": True,
    }
    (path / "config.json").write_text(json.dumps(config))
    return path


def llama3_tokenizer() -> Any:
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


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """A process that has imported what commands need."""
    process = Warm()
    yield process
    process.close()


@pytest.fixture
def byheart(tmp_path: Path, warm: Warm) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own, in `tmp_path`."""
    return lambda *arguments: warm.run(arguments, tmp_path, environment())


def environment(**more: str) -> dict[str, str]:
    """That of a process in which a test runs our code: its messages are not broken, nor coloured."""
    return os.environ | {"COLUMNS": "160", "NO_COLOR": "1"} | more


def python(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, in `folder`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(**{"PYTHONPATH": str(ROOT), **env}),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


MARKERS = {"engine", "sandbox", "train", "ray", "corpus", "torch", "slow"}
IMPORTED = pytest.StashKey[set[str]]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("sandbox") and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed: apt-get install bubblewrap, or dnf install bubblewrap")
    item.stash[IMPORTED] = set({"torch", "vllm"} & sys.modules.keys())


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """A test without a marker imports neither torch nor vllm, nor do its fixtures: `make test-quick` promises that."""
    known: set[str] = item.stash.get(IMPORTED, set())
    heavy = ({"torch", "vllm"} & sys.modules.keys()) - known
    if heavy and not MARKERS & {marker.name for marker in item.iter_markers()}:
        pytest.fail(f"it imports {', '.join(heavy)}: mark it")
