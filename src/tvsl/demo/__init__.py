"""The demo: scenes that nobody chose by their results, localized and scored."""
