"""Measurements of the model and of the product. Nothing here ships in the wheel."""
