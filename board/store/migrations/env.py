"""Runs the migrations on the engine that board.store.database hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Engine

from board.store.tables import metadata


def run(engine: Engine) -> None:
    """Run all migrations that are due in one transaction."""
    with engine.connect().execution_options(site_agent_write=True) as connection:
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=engine.name == "sqlite")
        with connection.begin(), context.begin_transaction():
            context.run_migrations()


run(context.config.attributes["engine"])
