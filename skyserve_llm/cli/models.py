"""`llmbudget models [QUERY]`."""

import click

from skyserve_llm.cli import options, output
from skyserve_llm.errors import InputError
from skyserve_llm.planner.engine import choose_engine
from skyserve_llm.planner.listing import listing
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.sources.registry import architecture_support
from skyserve_llm.types import ModelSpec


@click.command("models")
@click.argument("query", required=False, default="")
@options.output_option
def command(query: str, output_format: str) -> None:
    """The bundled models, which need no network: all, or those that match QUERY.

    QUERY is words of a model's id, architecture or type; all of them must match. The smallest GPU
    is the one card that holds the model alone, with its whole context, under the load that `plan`
    assumes. Any other model is planned by its id on the Hugging Face Hub.
    """
    words, cards = query.lower().split(), load_gpus().values()
    found = [
        listing(model, choose_engine(model, architecture_support(model)), cards)
        for model in bundled_models()
        if _matches(model, words)
    ]
    if not found:
        raise InputError(
            f"no bundled model matches '{query}'",
            hint="a model on the Hugging Face Hub is planned by its id: llmbudget plan owner/name",
        )
    if output_format == "json":
        output.json_document(found)
    else:
        from skyserve_llm.cli.model_tables import models_table

        output.tables(models_table(found))


def _matches(model: ModelSpec, words: list[str]) -> bool:
    text = f"{model.id} {model.architecture} {model.model_type}".lower()
    return all(word in text for word in words)
