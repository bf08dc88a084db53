"""Where completions and scores come from, one engine a file. A command has one session, started when first needed."""

REGISTRY = {
    "vllm": "byheart.engines.vllm:VLLM",
    "transformers": "byheart.engines.transformers:Transformers",
    "server": "byheart.engines.server:Server",
    "scripted": "byheart.engines.scripted:Scripted",
}
