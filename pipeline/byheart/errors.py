"""Every error byheart raises on purpose.

    ByheartError                    exit code 1
    |-- InputError                  exit code 2: something the user gave is wrong; nothing was started
    |   |-- RecipeError             a key or value of the recipe
    |   |-- TaskError               the problems, or the file they come from
    |   |-- ModelError              the model's name, files, template or context
    |   `-- SandboxError            model-written code can't be run safely here
    |-- RunError                    exit code 3: the run directory, or its store, refuses (locked, changed, no room)
    |-- EngineError                 exit code 4: the engine could not start or failed while sampling
    |   `-- PromptError             one prompt that the engine refuses: costs its problem, not the run
    |-- TrainError                  exit code 5: the training process failed
    |-- VerifierError               exit code 6: verifiers can't run
    `-- HubError                  exit code 7: the hub refused or was not reached; nothing half-pushed is published

Ctrl-C is exit code 130. The message is for the person: what was wrong, where, and what to do. The CLI prints it
without a traceback; anything that is not a ByheartError is a defect of ours and keeps its traceback.
"""


class ByheartError(Exception):
    exit_code = 1


class InputError(ByheartError):
    exit_code = 2


class RecipeError(InputError):
    pass


class TaskError(InputError):
    pass


class ModelError(InputError):
    pass


class SandboxError(InputError):
    pass


class RunError(ByheartError):
    exit_code = 3


class EngineError(ByheartError):
    exit_code = 4


class PromptError(EngineError):
    pass


class TrainError(ByheartError):
    exit_code = 5


class VerifierError(ByheartError):
    exit_code = 6


class HubError(ByheartError):
    exit_code = 7
