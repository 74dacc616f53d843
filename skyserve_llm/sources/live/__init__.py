"""Prices as a cloud itself tells them today: ``aws`` (spot, with credentials), ``azure`` (both).

Each asks for the machines that the price table knows and gives rows to lay over it, dated today.
"""
