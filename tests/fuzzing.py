"""Damaged inputs for the command line: a recipe, rows, a model's folder and runs, of which something is torn, replaced,
swapped, removed or of another type; and what a command may do about it, which is to work or to say what is wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from byheart import cli
from byheart.errors import ByheartError
from byheart.files import dump_yaml, load_yaml
from hypothesis import strategies as st

from tests.conftest import ROOT, save_tiny
from tests.report.runs import finish

KINDS: list[type[ByheartError]] = [ByheartError, *ByheartError.__subclasses__()]
CODES = {0, 130} | {kind.exit_code for kind in KINDS}
"""The exit codes that errors.py documents."""


@dataclass(frozen=True)
class Damage:
    """One thing done to a file. `place` is where in it, 0 to 1; `value` what is put there."""

    file: str
    how: str
    place: float
    value: Any


@dataclass(frozen=True)
class Input:
    """A command, and what was done to the files that it reads."""

    arguments: tuple[str, ...]
    damages: tuple[Damage, ...]


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


# What there is before the damage


def make_world(folder: Path) -> Path:
    """A recipe with its rows and its model, two runs of it, and rows to verify, all of them sound."""
    (folder / "model").mkdir(parents=True)
    _make_model(folder / "model")
    rows = [{"prompt": f"What is {n} + 1?", "answer": n + 1, "level": n % 3, "key": f"k{n}"} for n in range(12)]
    write_rows(folder / "rows.jsonl", rows)
    write_rows(folder / "judged.jsonl", [{"response": f"It is {n}.", "answer": n} for n in range(4)])
    (folder / "script.json").write_text(json.dumps({"?": ["4"]}))
    (folder / "r.yaml").write_text(RECIPE)
    shutil.copytree(ROOT / "tests/old_run/run", folder / "old")
    finish(folder / "new", [0.2, 0.7, 0.8], samples=4, by="digits", stepwise=True)
    finish(folder / "other", [0.2, 0.5], samples=4, by="digits")
    for adapter in (*folder.glob("old/round-*/adapter"), *folder.glob("old/round-*/scorer/adapter")):
        shutil.copy(folder / "model/model.safetensors", adapter / "adapter_model.safetensors")
    return folder


RECIPE = """\
name: r
model: {name: model, max_context: 128}
task: {name: file, path: rows.jsonl, verifier: number, id_column: key, meta_columns: [level], only: {level: [0, 1, 2]},
  num_train: 4, num_dev: 3, num_held_out: 3}
strategy: {name: direct, samples: 2, temperature: 0.7}
engine: {name: scripted, script: script.json}
objective: {name: sft, lora_r: 4, learning_rate: 1e-4}
curation: {keep: 2, target: full}
evaluation: {num_train: 2, group_by: level, fast: {max_tokens: 4}, worked: {max_tokens: 20}}
schedule: {curation.target: [full, shortest]}
"""


def _make_model(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    tokenizer.save(str(folder / "tokenizer.json"))
    ends = {"bos_token": special[1], "eos_token": special[2], "pad_token": special[2], "unk_token": special[0]}
    words = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 256,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(words | ends))
    turn = "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    begin = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    (folder / "chat_template.jinja").write_text(f"{{% for message in messages %}}{turn}{{% endfor %}}{begin}")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, "temperature": 0.6}))
    save_tiny(folder, tokenizer.get_vocab_size(), bos=1, eos=2)


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


# What is done to it

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 1, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", " ", "x", "nan", "0"]
    ),
    st.sampled_from(
        ["~", "~no-such-user/x", "/", "..", "a\0b", "\x1b[2J", "[/x]", "*", "\ud800", "x" * 5000, "m:\n- "]
    ),
    st.sampled_from([[], {}, [[]], [None], {"": None}, {"name": None}, {"name": []}, [{"role": "x", "content": 3}]]),
    st.integers(),
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers(), max_size=2),
)
BYTES = ("remove", "empty", "cut", "flip", "insert", "zeros", "folder", "link", "swap", "utf-16", "copy")
"""What can be done to any file."""
KEYS = ("set", "delete", "rename", "wrap", "twice")
"""What can be done to a file of JSON, JSON Lines or YAML."""


def damaged(files: Sequence[str]) -> st.SearchStrategy[Damage]:
    """Damage to one of `files`."""

    def to(file: str) -> st.SearchStrategy[Damage]:
        ways = (*KEYS, *KEYS, *BYTES) if file.endswith((".json", ".jsonl", ".yaml")) else BYTES
        return st.builds(Damage, st.just(file), st.sampled_from(ways), st.floats(0, 1), VALUES)

    return st.sampled_from(files).flatmap(to)


def inputs(world: Path) -> st.SearchStrategy[Input]:
    """Commands with damage to what they read, in a copy of `world`."""
    names = sorted(path.relative_to(world).as_posix() for path in world.rglob("*") if path.is_file())
    models, runs = ([name for name in names if re.match(start, name)] for start in ("model/", "old/|new/"))
    used = [("run", "r.yaml", "--dry-run"), ("load", "r.yaml", "--run-dir", "fresh")]
    read = [
        (command, run, *more)
        for run in ("old", "new")
        for command, *more in (
            ("status",),
            ("show",),
            ("show", "--round", "1", "--verdict", "wrong", "--problem", "1"),
            ("show", "--tree", "+"),
            ("report",),
            ("compare", "other", "--by-round", "--page", "page.html"),
            ("publish", "--to", "me/sums", "--base", "someone/tiny", "--license", "mit", "--dry-run"),
        )
    ]
    read += [("run", "r.yaml", "--dry-run", "--run-dir", run) for run in ("old", "new")]
    verified = [
        ("verify", "judged.jsonl", "--verifier", name)
        for name in ("number", "exact", "choice", "{name: regex, pattern: 4}")
    ]
    return st.one_of(
        _of(used, ["r.yaml"]),
        st.builds(_overridden, st.sampled_from(used), st.lists(_overrides(), min_size=1, max_size=2)),
        _of(used, ["rows.jsonl", "script.json"]),
        _of(verified, ["judged.jsonl"]),
        _of(used, models),
        _of(used, models),
        _of(read, runs),
        _of(read, runs),
        st.builds(lambda command, word: Input((command, "--", word), ()), st.sampled_from(WORDED), _words()),
    )


WORDED = ("recipes", "options", "status", "run", "load", "verify")


def _of(commands: Sequence[tuple[str, ...]], files: Sequence[str]) -> st.SearchStrategy[Input]:
    several = st.lists(damaged(files), min_size=1, max_size=2).map(tuple)
    return st.builds(Input, st.sampled_from(commands), several)


def _overridden(arguments: tuple[str, ...], overrides: list[str]) -> Input:
    return Input((*arguments, "--", *overrides), ())


def _words() -> st.SearchStrategy[str]:
    """What a shell may hand to a command as a word, without line breaks, which a message that quotes it would have."""
    some = ("", ".", "/", "~", "-", "strategy.", "strategy.direct.", ".name", "model.name", "\udcff", "a/b", "é" * 200)
    text = st.text(max_size=30).map(lambda text: "".join(text.encode("utf-8", "ignore").decode().split("\0")))
    return text.map(lambda text: "".join(text.splitlines())) | st.sampled_from(some)


def _overrides() -> st.SearchStrategy[str]:
    keys = st.sampled_from(
        [*_flat(load_yaml(RECIPE)), "strategy", "task", "model", "schedule", "verifier", "objective", "task.verifier"]
    )
    values = st.one_of(
        VALUES.map(lambda value: json.dumps(value).replace("\0", "")),
        _words(),
        st.sampled_from(["mcts", "math", "vllm"]),
    )
    return st.builds(lambda key, value: f"{key}={value}".replace("\0", ""), keys | _words(), values)


def _flat(tree: dict[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in _flat(value))


def do(damage: Damage, folder: Path) -> None:
    """Damage the file in `folder`, as far as it is still one."""
    path = folder / damage.file
    if not path.is_file():
        return
    content = path.read_bytes()
    if damage.how in KEYS:
        _put(path, content, damage)
        return
    at = int(damage.place * len(content))
    if damage.how in ("remove", "folder", "link"):
        path.unlink()
    if damage.how == "folder":
        path.mkdir()
    elif damage.how == "link":
        path.symlink_to("nowhere")
    elif damage.how == "swap":
        others = sorted(other for other in folder.rglob("*") if other.is_file())
        shutil.copy(others[int(damage.place * (len(others) - 1))], folder / "swapped")
        (folder / "swapped").replace(path)
    elif damage.how == "copy":
        shutil.copy(path, path.with_name(f"{path.stem} (copy){path.suffix}"))
    elif damage.how != "remove":
        path.write_bytes(_changed(content, damage.how, at))


def _changed(content: bytes, how: str, at: int) -> bytes:
    match how:
        case "empty":
            return b""
        case "cut":
            return content[:at]
        case "flip":
            return content[:at] + bytes(byte ^ 0x55 for byte in content[at : at + 1]) + content[at + 1 :]
        case "insert":
            return content[:at] + b"\xff\xfe{\n" + content[at:]
        case "zeros":
            return content[:at] + bytes(len(content) - at)
        case "utf-16":
            return content.decode("utf-8", "replace").encode("utf-16")
    raise AssertionError(how)


def _put(path: Path, content: bytes, damage: Damage) -> None:
    """Change a key or value of a file of JSON, JSON Lines or YAML; of lines, in one of them."""
    text = content.decode("utf-8", "replace")
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    if not lines:
        return
    number = int(damage.place * (len(lines) - 1))
    written = dump_yaml if path.suffix == ".yaml" else json.dumps
    try:
        tree = load_yaml(text) if path.suffix == ".yaml" else json.loads(lines[number])
    except Exception:  # damaged before
        return
    spots = list(_spots(tree))
    if spots:
        holder, key = spots[int(damage.place * (len(spots) - 1))]
        _change(holder, key, damage)
        with contextlib.suppress(Exception):  # a value that YAML can't say
            lines[number] = written(tree)
        if damage.how == "twice" and lines[number].startswith("{"):
            lines[number] = f"{{{json.dumps(str(key))}: {json.dumps(damage.value)}, {lines[number][1:]}"
    path.write_text("\n".join(lines) + "\n", "utf-8", "surrogatepass")


def _change(holder: Any, key: Any, damage: Damage) -> None:
    if damage.how == "set":
        holder[key] = damage.value
    elif damage.how == "wrap":
        holder[key] = [holder[key]]
    elif damage.how == "delete":
        del holder[key]
    elif damage.how == "rename" and isinstance(holder, dict):
        holder[f"{key}_"] = holder.pop(key)


def _spots(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a tree of JSON, as what holds it and its key."""
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _spots(tree[key])


def lay(world: Path, one: Input, folder: Path) -> Path:
    """Copy what of `world` the command reads into `folder`, and damage it."""
    read = {"r.yaml", "rows.jsonl", "script.json", "model"} if "r.yaml" in one.arguments else set()
    for name in read | {*one.arguments} & {path.name for path in world.iterdir()}:
        copy = shutil.copytree if (world / name).is_dir() else shutil.copy
        copy(world / name, folder / name)
    for damage in one.damages:
        do(damage, folder)
    return folder


# What comes of it


def tried(world: Path, one: Input) -> Outcome:
    """What the command does, in this process. Raises AssertionError where it must not."""
    with tempfile.TemporaryDirectory() as name:
        return called(one.arguments, lay(world, one, Path(name)))


def called(arguments: Sequence[str], folder: Path) -> Outcome:
    """A call of the command's own entry, in `folder`."""
    out, err = io.StringIO(), io.StringIO()
    before, argv = Path.cwd(), sys.argv
    sys.argv = ["byheart", *arguments]
    os.chdir(folder)
    code: Any = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        err.write(traceback.format_exc())
    finally:
        os.chdir(before)
        sys.argv = argv
    return Outcome(code, out.getvalue(), err.getvalue())


def wrong(one: Input, outcome: Outcome) -> str | None:
    """What an outcome breaks of what is promised; None where it keeps it."""
    if "Traceback" in outcome.err or outcome.code not in CODES:
        return f"exit code {outcome.code}, with a traceback:\n{outcome.err}"
    judged = one.arguments[0] == "verify" and outcome.code == 1  # some rows are bad, each with a line of its own
    if outcome.code in (0, 130) or judged:
        return None
    message = outcome.err[outcome.err.find("byheart: ") :].strip()
    lines = message.split("\n")
    if not message.startswith("byheart: ") or len(message) < len("byheart: x"):
        return f"exit code {outcome.code}, and no message: {outcome.err!r}"
    of_the_recipe = all(re.match(r"(byheart: )?(r\.yaml|\S+=|recipe|\S+_args|\S+: )", line) for line in lines)
    if len(lines) > 1 and not of_the_recipe:
        return f"exit code {outcome.code}, and a message of {len(lines)} lines:\n{message}"
    return None
