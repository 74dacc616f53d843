"""What a cloud said. Knows no cloud."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The machine will be taken away, or may be.

    ``kind`` is the cloud's own word. ``is_certain`` is False for a warning that need not come
    true. ``left_s`` is how long the machine still has, None where the cloud does not say.
    """

    cloud: str
    kind: str
    is_certain: bool
    left_s: float | None

    @property
    def reason(self) -> str:
        return f"{self.cloud}: {self.kind}"
