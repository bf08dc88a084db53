"""What was published is the same policy, to the token, wherever it is loaded: by byheart itself, by transformers 4 and
peft of its time, by vLLM, and as llama.cpp's converters read it.

`make test-published` makes build/published, the environment with the others' libraries, and runs these.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, environment, python
from tests.loopback import Hub
from tests.publish.conftest import BASE
from tests.warm import Warm

pytestmark = [pytest.mark.published, pytest.mark.train, pytest.mark.engine]

THERE = ROOT / "build/published"
OTHERS = THERE / "venv/bin/python"
ASKED = ["What is 12 + 15?", "What is 40 + 2? Reply with just the number.", "Name a colour  of ∑\n\nnow"]
MAX_TOKENS = 12


@pytest.fixture(scope="module")
def pushed(
    trained: Path, tmp_path_factory: pytest.TempPathFactory, to_loopback: Warm, loopback: Hub, env: dict[str, str]
) -> Iterator[Path]:
    """The folder of a run `r` that was pushed, as an adapter to me/sums and merged to me/whole."""
    folder = tmp_path_factory.mktemp("pushed")
    shutil.copytree(trained, folder / "r")
    for to, more in (("me/sums", ()), ("me/whole", ("--merged",))):
        done = to_loopback.run(["publish", "r", "--to", to, *BASE, *more], folder, env)
        assert done.returncode == 0, done.stderr
    yield folder
    loopback.clear()


@pytest.fixture
def elsewhere(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a machine that has nothing of the hub's."""
    return env | {"HF_HOME": str(tmp_path / "empty")}


@pytest.fixture(scope="module")
def copies(pushed: Path, env: dict[str, str]) -> dict[str, Path]:
    """What was pushed, downloaded."""
    script = "import huggingface_hub as hub; [print(hub.snapshot_download(name)) for name in ('me/sums', 'me/whole')]"
    done = python(pushed, "-c", script, **env | {"HF_HOME": str(pushed / "copies")})
    assert done.returncode == 0, done.stderr
    return dict(zip(("me/sums", "me/whole"), map(Path, done.stdout.split()), strict=True))


OWN = """
import json, sys
from pathlib import Path
from byheart.config.recipe import parse
from byheart.engines.transformers import Transformers, TransformersSession
from byheart.models import checkpoint
from byheart.runs.run import Run
from byheart.types import Generate, Policy
import yaml

asked, most = json.loads(sys.argv[2]), int(sys.argv[3])


def answers(options, policy):
    session = TransformersSession(Transformers(max_num_seqs=1), checkpoint.fetch(options), options, Path("log"))
    session.load(policy)
    for text in asked:
        session.submit(Generate([{"role": "user", "content": text}], temperature=0, max_tokens=most))
    replies = {}
    while len(replies) < len(asked):
        replies.update(session.poll())
    return [replies[ticket][0].tokens for ticket in sorted(replies)]


raw = yaml.safe_load(Path(sys.argv[1], "recipe.yaml").read_text())
base = checkpoint.ModelOptions(name=raw["model"]["name"])
adapter = Path(sys.argv[1], "round-001/adapter")
raw["model"]["adapter"] = "me/sums@round-001"
with Run(Path("again"), parse(raw)) as again:
    started = again.policy(0)
own = json.loads(Path(sys.argv[1], "state.json").read_text())["rounds"][0]["policy"]
print(json.dumps({
    "ids": [started.id, own],
    "base": answers(base, Policy(base.name)),
    "run": answers(base, Policy(base.name, adapter)),
    "from": answers(base, started),
    "merged": answers(checkpoint.ModelOptions(name="me/whole"), Policy("me/whole")),
}))
"""


@pytest.fixture(scope="module")
def own(pushed: Path, env: dict[str, str]) -> dict[str, Any]:
    """What byheart answers with the base model, with the run's own policy, and with both that were pushed."""
    work = pushed / "work"
    work.mkdir()
    empty = env | {"HF_HOME": str(pushed / "empty")}
    done = python(work, "-c", OWN, str(pushed / "r"), json.dumps(ASKED), str(MAX_TOKENS), **empty)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_a_run_goes_on_from_what_was_published_with_the_same_policy(own: dict[str, Any]) -> None:
    assert own["from"] == own["merged"] == own["run"] != own["base"]
    assert own["ids"][0] == own["ids"][1]


OTHER = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, __version__
from transformers.utils import logging

logging.set_verbosity_error()
asked, most = json.loads(sys.argv[2]), int(sys.argv[3])


def answers(model, name):
    words = AutoTokenizer.from_pretrained(name)
    found = []
    for text in asked:
        prompt = words.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)
        ids = torch.tensor([prompt])
        tokens = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=most)
        found.append(tokens[0, len(prompt):].tolist())
    return found


adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(sys.argv[1]), "me/sums", revision="round-001")
merged = AutoModelForCausalLM.from_pretrained("me/whole", revision="round-001")
print(json.dumps([__version__, str(merged.dtype), answers(adapted, "me/sums"), answers(merged, "me/whole")]))
"""


def others(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the others' libraries."""
    assert OTHERS.is_file(), "the others' libraries are missing: scripts/published"
    return subprocess.run(
        [OTHERS, *arguments],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_transformers_4_and_peft_of_its_time_answer_the_same(
    pushed: Path, base: Path, own: dict[str, Any], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    done = others(tmp_path, "-c", OTHER, str(base), json.dumps(ASKED), str(MAX_TOKENS), **elsewhere)
    assert done.returncode == 0, done.stderr
    version, dtype, adapted, merged = json.loads(done.stdout.splitlines()[-1])
    assert version.startswith("4.") and dtype == "torch.float32"
    assert adapted == merged == own["run"]


WORDS = """
import json, sys
from transformers import AutoTokenizer

words = AutoTokenizer.from_pretrained(sys.argv[1])
asked = json.loads(sys.argv[2])
ids = [words(text)["input_ids"] for text in asked]
turns = [words.apply_chat_template([{"role": "user", "content": text}], tokenize=False) for text in asked]
print(json.dumps([ids, turns, words.decode(ids[0]), words.decode(ids[2]), sorted(words.all_special_tokens)]))
"""


@pytest.mark.parametrize("model", ["smollm", "tiny_llama3"])
def test_transformers_4_reads_a_tokenizer_as_transformers_5_does(
    model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from byheart.models import portable

    portable.copy_tokenizer(request.getfixturevalue(model), tmp_path / "words")
    asked = json.dumps([*ASKED, "Hi , it 's <file_sep> me ."])
    now = python(tmp_path, "-c", WORDS, "words", asked)
    then = others(tmp_path, "-c", WORDS, "words", asked)
    assert (now.returncode, then.returncode) == (0, 0), now.stderr + then.stderr
    assert json.loads(now.stdout.splitlines()[-1]) == json.loads(then.stdout.splitlines()[-1])


VLLM = """
import json, sys
from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest

base, adapter, merged, asked, most = *sys.argv[1:4], json.loads(sys.argv[4]), int(sys.argv[5])


def answers(model, lora=None, **more):
    llm = LLM(model, dtype="float32", max_model_len=128, enforce_eager=True, max_num_seqs=1, **more)
    turns = [[{"role": "user", "content": text}] for text in asked]
    return [
        list(output.outputs[0].token_ids)
        for output in llm.chat(turns, SamplingParams(temperature=0, max_tokens=most), lora_request=lora, use_tqdm=False)
    ]


print()
print(json.dumps([
    answers(merged),
    answers(base, LoRARequest("sums", 1, adapter), tokenizer=adapter, enable_lora=True, max_lora_rank=16),
]))
"""


def test_vllm_answers_the_same(
    base: Path, copies: dict[str, Path], own: dict[str, Any], env: dict[str, str], tmp_path: Path
) -> None:
    engine = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    folders = [str(base), str(copies["me/sums"]), str(copies["me/whole"])]
    done = python(tmp_path, "-c", VLLM, *folders, json.dumps(ASKED), str(MAX_TOKENS), **env | engine)
    assert done.returncode == 0, done.stderr[-4000:]
    merged, adapted = json.loads(done.stdout.splitlines()[-1])
    assert merged == adapted == own["run"]


def test_llama_cpp_converts_both(base: Path, copies: dict[str, Path], tmp_path: Path) -> None:
    from gguf import GGUFReader

    whole, adapter = tmp_path / "whole.gguf", tmp_path / "adapter.gguf"
    for script, *arguments in (
        ("convert_hf_to_gguf.py", str(copies["me/whole"].resolve()), "--outfile", str(whole), "--outtype", "f32"),
        ("convert_lora_to_gguf.py", str(copies["me/sums"]), "--base", str(base), "--outfile", str(adapter)),
    ):
        done = others(tmp_path, str(THERE / script), *arguments)
        assert done.returncode == 0, done.stderr[-4000:]
    read = GGUFReader(whole)
    assert read.fields["llama.rope.freq_base"].contents() == 50000.0
    assert read.fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert read.fields["tokenizer.ggml.eos_token_id"].contents() == 2
    assert "rope_freqs.weight" in {tensor.name for tensor in read.tensors}, "the positions of Llama 3"
    names = {tensor.name for tensor in GGUFReader(adapter).tensors}
    assert len(names) == 2 * 7 * 2 and "blk.1.attn_q.weight.lora_b" in names


BUILT_IN = """
import sys
from pathlib import Path
from safetensors.torch import load_file

card = Path(sys.argv[1]).read_text()
code = card.split("```python")[1].split("```")[0].partition("model = ")[0]
made = {}
exec(code, made)
weights, known = made["base"].state_dict(), load_file(sys.argv[2])
print(all(weights[name].equal(tensor) for name, tensor in known.items()), len(known))
"""


def test_the_card_of_the_built_in_model_makes_the_weights_that_were_measured(
    trained: Path, smollm: Path, tmp_path: Path
) -> None:
    import yaml
    from byheart.publish import packing

    run = Path(shutil.copytree(trained, tmp_path / "r"))
    raw = yaml.safe_load((run / "recipe.yaml").read_text())
    raw["model"]["name"] = "smollm2-135m"
    (run / "recipe.yaml").write_text(yaml.safe_dump(raw))
    model, _ = packing.pack(run, None, "me/sums", "someone/tiny", "mit")
    card, weights = str(model.folder / "README.md"), str(smollm / "model.safetensors")
    done = python(tmp_path, "-c", BUILT_IN, card, weights)
    assert done.stdout.split() == ["True", "272"], done.stderr
