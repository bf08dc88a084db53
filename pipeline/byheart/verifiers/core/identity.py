"""The identity of a verifier, which its verdicts record: its key, and a fingerprint of everything they depend on.
Verdicts are computed again when the identity of their verifier has changed."""

from __future__ import annotations

from importlib import metadata

from byheart.contracts import Verifier
from byheart.types import digest
from byheart.verifiers.core.thinking import MARKS, TAGS


def identity(verifier: Verifier) -> str:
    """ "number@1a2b3c4d": the options of `verifier`, its version and those of the verifiers that it is made of, the
    versions of their libraries, and the marks by which thoughts and turns are told from answers.

    An option that has its default is no part of it, so that a new option leaves earlier verdicts as they are.
    """
    parts = [part for part in verifier.walk() if isinstance(part, Verifier)]
    options = verifier.model_dump(mode="json", exclude_defaults=True)
    libraries = {name: metadata.version(name) for part in parts for name in part.libraries}
    return f"{verifier.name}@{digest(options, [part.version for part in parts], libraries, TAGS, MARKS)[:8]}"
