"""Rewrite rules: their language, the families, the engine; `table` holds them all."""
