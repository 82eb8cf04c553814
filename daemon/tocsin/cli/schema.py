"""`tocsin schema`."""

import click

from tocsin.cli.options import print_json
from tocsin.config.schema import config_schema, rules_schema, venue_schema


@click.command("schema")
@click.argument("what", type=click.Choice(["config", "rules", "venue"]))
def command(what: str) -> None:
    """JSON Schema of the config, of rule files or of a venue's description, so that an editor completes and checks them.

    \b
    Examples:
      tocsin schema config > config.schema.json
      tocsin schema rules > rules.schema.json
      tocsin schema venue > venue.schema.json

    \b
    Then, as the first line of config.yaml, for editors:
      # yaml-language-server: $schema=config.schema.json
    """
    print_json({"config": config_schema, "rules": rules_schema, "venue": venue_schema}[what]())
