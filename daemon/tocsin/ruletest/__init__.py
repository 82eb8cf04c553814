"""Rules on a fake clock: `tocsin test`, through the entities, engine, store and outbox that run in production."""
