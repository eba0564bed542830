"""How far a network sees, as exports state it and clients cut windows by it.

Imports no TensorFlow, which clients do without.
"""

from dataclasses import dataclass

from histogan_tf import halo
from histogan_tf.errors import InputError


@dataclass(frozen=True)
class Reach:
    """Pixels around a pixel that it depends on, and the stride of windows."""

    halo: int
    multiple: int

    def __post_init__(self) -> None:
        if self.halo < 0 or self.multiple < 1:
            raise InputError(
                f"halo={self.halo}, multiple={self.multiple}: 0 or more and"
                " 1 or more are allowed"
            )

    @property
    def border(self) -> int:
        """The halo, rounded up to the stride."""
        return halo.rounded(self.halo, self.multiple)
