"""Every error byheart raises on purpose.

    ByheartError                    exit code 1
    |-- InputError                  exit code 2: something the user gave is wrong; nothing was started
    |   |-- RecipeError             a key or value of the recipe
    |   |-- TaskError               the problems, or the file they come from
    |   |-- ModelError              the model's name, files, template or context
    |   `-- SandboxError            model-written code can't be run safely here
    |-- RunError                    exit code 3: the run directory, or its store, refuses (locked, changed, no room)
    |-- EngineError                 exit code 4: the engine could not start or failed while sampling
    |   |-- PromptError             one prompt that the engine refuses: costs its problem, not the run
    |   `-- AllFailedError          every problem failed
    |-- TrainError                  exit code 5: the training process failed
    |-- VerifierError               exit code 6: verifiers can't run
    |-- HubError                    exit code 7: the hub refused or was not reached; nothing half-pushed is published
    `-- PluginError                 exit code 8: a plugin does what its contract does not allow

Ctrl-C is exit code 130. The message is for the user: what was wrong, where, and what to do. The CLI prints it without a
traceback. So it does with an OSError that names a file, such as one that may not be read: exit code 3, in the words of
the system. Any other exception is a bug and keeps its traceback.
"""


class ByheartError(Exception):
    """Base of every error that byheart raises on purpose."""

    exit_code = 1


class InputError(ByheartError):
    """Something the user gave is wrong; nothing was started."""

    exit_code = 2


class RecipeError(InputError):
    """A key or value of the recipe is wrong."""


class TaskError(InputError):
    """The problems, or the file they come from, can't be used."""


class ModelError(InputError):
    """The model's name, files, chat template or context can't be used."""


class SandboxError(InputError):
    """Model-written code can't be run safely on this machine."""


class RunError(ByheartError):
    """The run directory, or its store, refuses: it is locked, changed, or full."""

    exit_code = 3


class EngineError(ByheartError):
    """The engine could not start, or failed while sampling."""

    exit_code = 4


class PromptError(EngineError):
    """The engine refuses one prompt: its problem fails, the run goes on."""


class AllFailedError(EngineError):
    """Every problem failed: no prompt fits the context, say."""


class TrainError(ByheartError):
    """The training process failed."""

    exit_code = 5


class VerifierError(ByheartError):
    """Verifiers can't run."""

    exit_code = 6


class HubError(ByheartError):
    """The hub refused a request or could not be reached; nothing half-pushed is published."""

    exit_code = 7


class PluginError(ByheartError):
    """A plugin does what its contract does not allow."""

    exit_code = 8


def described(value: object) -> str:
    """What `value` is, for the message of an error: "None", "a list", "an int"."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
