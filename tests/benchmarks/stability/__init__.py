"""Textbook formulas at hard points: how well each library computes their values and gradients."""
