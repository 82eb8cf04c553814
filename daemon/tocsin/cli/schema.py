"""`tocsin schema`."""

import click

from tocsin.cli.options import print_json
from tocsin.config.schema import config_schema, rules_schema


@click.command("schema")
@click.argument("what", type=click.Choice(["config", "rules"]))
def command(what: str) -> None:
    """JSON Schema of the config or of rule files, so that an editor completes and checks them.

    \b
    Examples:
      tocsin schema config > config.schema.json
      tocsin schema rules > rules.schema.json

    \b
    Then, as the first line of config.yaml, for editors:
      # yaml-language-server: $schema=config.schema.json
    """
    print_json(config_schema() if what == "config" else rules_schema())
