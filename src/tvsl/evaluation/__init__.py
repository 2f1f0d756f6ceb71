"""Scoring: encoded test scenes, maps against ground truth, and the tables made of them."""
