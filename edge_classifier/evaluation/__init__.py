"""How good a model is on labelled pictures: scores, measures, and a report that says so."""
