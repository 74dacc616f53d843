"""Learning from the cloud that it will take this machine away, before it does.

One module a cloud, each with ``is_here`` and ``notices``; `watcher` finds out where it is and
listens. A notice is worth 30 s (Google, Azure) to 120 s (Amazon) to leave in order.
"""

from skyserve_llm.replica.preemption.notice import Notice
from skyserve_llm.replica.preemption.watcher import watch

__all__ = ["Notice", "watch"]
