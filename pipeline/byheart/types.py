"""The nouns. Everything that crosses a stage boundary is one of these: frozen, typed, JSON in and JSON out.

    Problem  --strategy-->  Rollout  --verifier-->  Verdict  --curation-->  Row  --objective-->  Policy

This file imports nothing of the project, and neither torch nor vllm.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, Self, TypeVar

from pydantic import AliasChoices, Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12


class Message(TypedDict):
    """One turn of a chat, as chat templates and trl know it."""

    role: str
    content: str


Prompt = str | list[Message]
"""Chat messages for an instruction-tuned model, or plain text for a base model."""


def digest(*parts: object) -> str:
    """A short, stable name for what `parts` say: 16 hex digits of the SHA-256 of their JSON."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Record:
    """JSON round trip for the frozen dataclasses below.

    With `_sparse`, fields that have their default are left out of the JSON.
    """

    __slots__ = ()

    _sparse: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        row: dict[str, Any] = _adapter(type(self)).dump_python(self, mode="json", exclude_defaults=self._sparse)
        return row

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Self:
        """Raises pydantic.ValidationError where a field is missing, unknown or of the wrong type."""
        record: Self = _adapter(cls).validate_python(row, extra="forbid")
        return record


_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(cls: type) -> TypeAdapter[Any]:
    if cls not in _adapters:
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def formerly(*names: str) -> Any:
    """Annotates a field that older versions of byheart wrote under another of `names`."""
    return Field(validation_alias=AliasChoices(*names))


class Undeciding:
    """Base of what a stage may be given that decides no result, only where and how fast it is computed: it is no part
    of the stage's digest."""


SOLUTION = "solution"
"""The key of a worked solution in a problem's meta."""


@dataclass(frozen=True, slots=True)
class Problem(Record):
    """Something to solve, with what proves a solution right. `answer` is None where no gold answer is known."""

    id: str
    prompt: Prompt
    answer: str | None
    verifier: str
    meta: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, prompt: Prompt, answer: str | None, verifier: str, meta: dict[str, Any] | None = None) -> Problem:
        """A problem whose id is the hash of its content, so that the same problem has the same id everywhere."""
        return cls(digest(prompt, answer), prompt, answer, verifier, meta or {})

    @property
    def solution(self) -> str | None:
        """The worked solution that its task gives in `meta`, else its gold answer alone; None where neither is
        known."""
        worked = self.meta.get(SOLUTION)
        return worked if isinstance(worked, str) and worked.strip() else self.answer


@dataclass(frozen=True, slots=True)
class Problems(Record):
    """The three splits of one round. They share no content; `held_out` decides nothing, it only measures. `also` are
    the problems of other tasks that are measured, by the names that the recipe gives them; they are in no split."""

    train: list[Problem]
    dev: list[Problem]
    held_out: list[Problem]
    also: Annotated[dict[str, list[Problem]], Field(exclude_if=lambda also: not also)] = field(
        default_factory=dict, kw_only=True
    )

    def splits(self) -> dict[str, list[Problem]]:
        """The splits by name."""
        return {"train": self.train, "dev": self.dev, "held_out": self.held_out}


@dataclass(frozen=True, slots=True)
class Policy(Record):
    """What is sampled from or trained: a base model and, after a round, a LoRA adapter on it.

    `base` is a model name as models/checkpoint.py knows it; `adapter` a directory, or None for the base model itself.
    `id` names the weights: "base", or "adapter-" and the hash of the adapter's weights. `scorer` is a second adapter
    on the same base that says how good a solution is and writes none (V-STaR's verifier), where one was trained.
    """

    base: str
    adapter: Path | None = None
    id: str = "base"
    scorer: Path | None = None


FinishReason = Literal["stop", "length", "step"]
"""A text came to its end, was cut off, or was asked for up to the end of a step, after which it may go on."""


@dataclass(frozen=True, slots=True)
class Completion(Record):
    """One engine output, with the id of the policy and the seed it was sampled with. `logprob` is that of its tokens
    under the policy at temperature 1, summed (nats), where it was asked for. `retokenized`: the text came to its end,
    and it is encoded as other tokens than those that were sampled."""

    text: str
    tokens: list[int]
    finish_reason: FinishReason
    policy: str
    seed: int
    logprob: float | None = None
    retokenized: bool = False

    def saying(self, text: str) -> Completion:
        """This completion with another text, which was not sampled as its tokens."""
        return self if text == self.text else replace(self, text=text, retokenized=False)


@dataclass(frozen=True, slots=True)
class Step(Record):
    """One reasoning step of a searched solution. `value` is the chance of a right answer from here, in 0..1, `count`
    how many times it was written after those before it."""

    text: str
    value: float | None = None
    visits: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Rollout(Record):
    """One attempt at one problem. `prompt` is what the student is trained on, never what only helped the teacher.

    `hinted`: the answer was in the teacher's prompt. `selected` is False where the strategy prefers another attempt, or
    none: it is kept, and may be the worse one of a pair, but nobody is taught to write it. `note` is the strategy's one
    word for what came of it, such as "fixed"; `value` what a scorer says of it, where one was asked. `token_ids` are
    the tokens that were sampled, where the response is encoded as others.
    """

    id: str
    problem_id: str
    strategy: str
    prompt: Prompt
    response: str
    finish_reason: FinishReason
    num_tokens: int
    seed: int
    policy: str
    steps: list[Step] = field(default_factory=list)
    hinted: bool = False
    selected: Annotated[bool, formerly("selected", "chosen")] = True
    note: str = ""
    value: float | None = None
    token_ids: Annotated[list[int], Field(exclude_if=lambda ids: not ids)] = field(default_factory=list)

    @classmethod
    def of(cls, problem: Problem, completion: Completion, strategy: str, **rest: Any) -> Rollout:
        """The rollout in which `strategy` answers `problem` with `completion`; its tokens are the completion's."""
        return cls(
            id=digest(problem.id, strategy, completion.policy, completion.seed, completion.text),
            problem_id=problem.id,
            strategy=strategy,
            prompt=problem.prompt,
            response=completion.text,
            finish_reason=completion.finish_reason,
            num_tokens=len(completion.tokens),
            seed=completion.seed,
            policy=completion.policy,
            token_ids=completion.tokens if completion.retokenized else [],
            **rest,
        )


class Judgement(NamedTuple):
    """What a verifier finds: score (1.0 right, 0.0 wrong, None for unjudged), the answer it read in the response, if
    any, why the score is not 1.0, and by what share of the votes, in 0..1, where there was a vote."""

    score: float | None
    answer: str | None
    reason: str = ""
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict(Record):
    """What a verifier says of one rollout.

    `score` is 1.0 (right), 0.0 (wrong), or None: could not be judged. An unjudged rollout is never trained on, never
    counted wrong, and always counted in a row of its own. `verifier` is its key and the fingerprint of its options
    and version; `margin` the share of the votes it won by, in 0..1, where there was a vote. A strategy is answered
    before its rollout exists: `rollout_id` is then "".
    """

    rollout_id: str
    verifier: str
    score: float | None
    answer: str | None
    reason: str
    margin: float | None = None

    @property
    def correct(self) -> bool:
        """Whether it is right; one that is not judged is not."""
        return self.score == 1.0

    @property
    def judgement(self) -> Judgement:
        """The verdict as the verifier gave it, without the rollout."""
        return Judgement(self.score, self.answer, self.reason, self.margin)


@dataclass(frozen=True, slots=True)
class Branch(Record):
    """One step in the tree of a search, for people to look at; `parent` is its place in the list of all, -1 at the
    beginning. `value` is as in Step, `mean` what its `visits` brought back on average; `ended`, where it makes a whole
    solution; `closed`, why the search went no further here; `selected`, whether the selected solution goes through it.
    `scores` are what the search went by, such as f, g and h."""

    parent: int
    text: str
    ended: bool = False
    count: int = 1
    visits: int = 0
    mean: float | None = None
    value: float | None = None
    closed: str = ""
    selected: Annotated[bool, formerly("selected", "chosen")] = False
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RolloutGroup(Record):
    """All that a strategy did for one problem: its rollouts, the verdicts it asked for on the way, every token that was
    generated for it, critiques and opinions included, and where it searched a tree, all of that.

    `failure` says why there are no rollouts, where the engine refused a prompt of this problem.
    """

    problem_id: str
    rollouts: list[Rollout]
    verdicts: list[Verdict]
    failure: str | None = None
    num_tokens: int = 0
    tree: list[Branch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Row(Record):
    """A solution to learn, in trl's prompt-completion format, with provenance. Its fields are the columns of a dataset.

    `completion` is of the same kind as `prompt`: text, or the assistant's message. `policy` is the id of the weights
    that wrote it; `value` what a scorer said of it, where one was asked; `num_tokens` the tokens generated, its end
    token included. `untrained` are spans of characters (first, end) of the completion that have no loss. `verifier`,
    `score`, `margin` and `answer` are those of its Verdict; `token_ids` those of its Rollout, which are trained.
    """

    prompt: Prompt
    completion: Prompt
    problem_id: str
    rollout_id: str
    policy: str
    strategy: str
    verifier: str
    answer: str | None
    seed: int
    num_tokens: int
    round: int
    hinted: bool
    untrained: list[tuple[int, int]]
    value: float | None
    score: float | None
    margin: float | None
    token_ids: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pair(Record):
    """A right (`chosen`) and a wrong (`rejected`) solution of one problem, in trl's preference format. The two ids are
    those of their rollouts; `round` is the later of their rounds."""

    prompt: Prompt
    chosen: Prompt
    rejected: Prompt
    problem_id: str
    chosen_id: str
    rejected_id: str
    round: int


@dataclass(frozen=True, slots=True)
class StepwiseRow(Record):
    """A solution with a value for each step, in trl's stepwise-supervision format. `completions` are its steps, which
    joined are the solution; `labels` say whether some right solution was reached through a step; `values` are in 0..1.
    """

    prompt: Prompt
    completions: list[str]
    labels: list[bool]
    values: list[float]
    problem_id: str
    rollout_id: str
    round: int


@dataclass(frozen=True, slots=True)
class Dataset(Record):
    """What a round trains on: a directory with Parquet files and a card. `digest` names its contents: the Rows, the
    Pairs in pairs/ and the StepwiseRows in steps/."""

    folder: Path
    num_rows: int
    digest: str
    num_pairs: int = 0
    num_stepwise: int = 0


@dataclass(frozen=True, slots=True)
class Environment(Record):
    """What a round was computed with. It decides nothing: it is recorded so that a result can be traced and repeated.

    `versions` are those of Python, of byheart with its commit, and of the libraries that sample and train. `hardware`
    names the GPUs of the machine that the command runs on, or its processor where there are none. `hub` is what the
    model is called on the hub, None where it is a directory; `revision` its commit there, or where else it came from;
    `weights` the SHA-256 of its weights: that of the file, or of what `sha256sum` prints for several. The last two are
    None where the model is not on this machine.
    """

    versions: dict[str, str]
    hardware: str
    hub: str | None
    revision: str | None
    weights: str | None

    def facts(self) -> dict[str, str]:
        """Each fact by its name, such as {"torch": "2.13.0", "model": "meta-llama/Llama-3.2-1B", ...}; what is not
        known is not in it."""
        sha256 = self.weights and f"sha256:{self.weights}"
        model = {"model": self.hub, "model revision": self.revision, "model weights": sha256}
        return {**self.versions, "hardware": self.hardware, **{key: value for key, value in model.items() if value}}


# What a strategy may ask for, and what it is answered with.


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask the policy for `n` completions of `prompt`. The reply is a list of `n` Completions.

    `temperature` 0 is greedy. An answer ends before the first of `stop`. `seed` is given by the driver, so that
    strategies need not think of it, and so is `priority`: of all that wait, the lowest is served first.

    None of `bad_words` is ever written. To go on from the beginning of an answer, say it in `prefill`; the completion
    is what follows. `step_stop` asks for a step: a completion ends with the token in which the first of these texts is
    complete, for the reason "step". With `logprob` it says how likely it was.
    """

    prompt: Prompt
    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    seed: int = 0
    prefill: str = ""
    step_stop: tuple[str, ...] = ()
    bad_words: tuple[str, ...] = ()
    logprob: bool = False
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Verify:
    """Ask which of `responses` solve `problem`. The reply is a list of as many Verdicts.

    They are asked about together, since some verifiers go by how far the responses agree. `by` is the verifier to ask,
    which only a verifier made of others says; else it is the one of the recipe.
    """

    problem: Problem
    responses: Sequence[str]
    by: Any = None


@dataclass(frozen=True, slots=True)
class Score:
    """Ask the policy's scorer how good each of `responses` to `prompt` is. One that values steps says the chance of a
    right answer (0..1) with this much of it written; another the log-likelihood of all of it (nats, summed over its
    tokens and its end). The reply is a list of as many floats, or of None where the policy has no scorer yet."""

    prompt: Prompt
    responses: Sequence[str]
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Ask for `n` of the solutions that the run has verified so far, to other problems than this one: those `nearest`
    to it, or any. The reply is a list of at most `n` WorkedExamples; it is shorter while there are fewer."""

    problem: Problem
    n: int
    nearest: bool = False


@dataclass(frozen=True, slots=True)
class RecordTree:
    """Keep the `tree` of a search beside its rollouts. There is no reply: it is empty."""

    tree: list[Branch]


Result = TypeVar("Result")
Part = Generator[Sequence["Request"], Any, Result]
"""A part of a strategy at work on one problem: like a Solver, but it returns a `Result`."""


@dataclass(frozen=True, slots=True)
class Parallel:
    """Run `branches` side by side: each is resumed as soon as its own requests are answered, whatever the others do.
    The reply is a list of what they return, in their order. A branch that does not catch the PromptError of a refused
    prompt is left out, so that a strategy that goes by their places catches it in the branch. If all were refused,
    PromptError is raised at this yield."""

    branches: Sequence[Part[Any]]


@dataclass(frozen=True, slots=True)
class WorkedExample(Record):
    """A problem with a right solution, to be shown to a teacher."""

    prompt: Prompt
    response: str


Request = Generate | Score | Verify | Retrieve | RecordTree | Parallel
Reply = list[Completion] | list[Verdict] | list[float | None] | list[WorkedExample] | list[Any]
Solver = Generator[Sequence[Request], Any, list[Rollout]]
"""A strategy at work on one problem: yields requests, is sent as many replies in order, returns its rollouts."""
Interaction = Generator[Sequence[Request], Any, list[Judgement]]
"""A verifier at work that asks for more than the responses say: other verdicts, or the opinion of a model."""


RequestT = TypeVar("RequestT", contravariant=True)
ReplyT = TypeVar("ReplyT")


class Service(Protocol[RequestT, ReplyT]):
    """Something that answers requests later. Sessions of engines and verifier services have this one shape."""

    def submit(self, request: RequestT) -> int:
        """Take `request` and return at once with a ticket."""

    def poll(self) -> list[tuple[int, ReplyT]]:
        """Advance by one step; the tickets that are now answered, with their replies."""


__all__ = [
    "Branch",
    "Completion",
    "Dataset",
    "Environment",
    "FinishReason",
    "Generate",
    "Interaction",
    "Judgement",
    "Message",
    "Pair",
    "Parallel",
    "Part",
    "Policy",
    "Problem",
    "Problems",
    "Prompt",
    "Record",
    "RecordTree",
    "Reply",
    "Request",
    "Retrieve",
    "Rollout",
    "RolloutGroup",
    "Row",
    "Score",
    "Service",
    "Solver",
    "Step",
    "StepwiseRow",
    "Verdict",
    "Verify",
    "WorkedExample",
    "digest",
    "replace",
]
