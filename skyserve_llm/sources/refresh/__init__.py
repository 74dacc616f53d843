"""Bringing the price table up to date: download, import, normalize, put in place.

``hosted`` downloads SkyPilot's catalogs and keeps them for the next time, ``fetch`` gets one file,
``rebuild`` makes the new table of whatever catalogs there are. The table in use is replaced at the
very end and in one step: whatever fails before leaves it as it was.
"""
