"""Importers: a price catalog in its own form -> raw offers for ``normalize``.

``skypilot`` reads the layout of SkyPilot's catalogs (hosted, or as they lie in ``~/.sky``), with
what each cloud does differently there: ``gcp`` adds a machine and its GPUs up, ``gpu_info`` knows
what the clouds mean by a GPU's memory. ``gpuhunt`` reads the catalogs of dstack's gpuhunt.
``folder`` tells one layout from the other, ``cells`` refuses what is no catalog at all. Which
prices are then kept, and under which names, is decided in ``normalize`` for all of them alike.
"""
