"""Alembic's folder; migrate.py runs it."""
