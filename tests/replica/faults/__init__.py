"""The fault battery: what hostile, broken and unlucky clients do to a replica, over raw sockets.

Each module is one kind of fault and offers ``faults(scale)``: a list of `Fault`. `battery` runs
them against a replica of its own and judges the same four things after each: nothing crashed,
nothing hung, nothing got past the key, and memory stayed bounded.
"""
