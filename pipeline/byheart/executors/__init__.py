"""Where engines run, and how problems are spread over them, one executor a file."""

REGISTRY = {
    "local": "byheart.executors.local:Local",
    "ray": "byheart.executors.ray:Ray",
}
