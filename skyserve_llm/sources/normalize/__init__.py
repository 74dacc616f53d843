"""Turns raw price rows and GPU facts into the tables under ``pricing/``.

Run by hand when prices are refreshed (``python -m skyserve_llm.sources.normalize``), never on
the way of a plan. ``raw`` reads, ``provenance`` says where a row comes from, ``naming`` gives
every card one name, ``rules`` says which prices are kept, ``tables`` writes. The same input and
date give the same bytes, whatever the order of the input's rows.
"""
