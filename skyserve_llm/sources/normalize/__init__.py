"""Turns raw price rows into prices under our names, by one set of rules for every source.

``refresh`` runs them over the catalogs it downloads; by hand (``python -m
skyserve_llm.sources.normalize``) they make the tables under ``pricing/``; never on the way of a
plan. ``raw`` reads, ``provenance`` says where a row comes from, ``naming`` gives every card one
name, ``quotes`` looks at a row alone and ``rules`` at rows together, ``tables`` writes. The same
input and date give the same bytes, whatever the order of the input's rows.
"""
