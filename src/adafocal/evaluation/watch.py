# SPDX-License-Identifier: Apache-2.0
"""What looks at the rows of tables on their way to be measured."""

from collections.abc import Iterable, Iterator

from adafocal.tables.piece import Piece


class Watch:
    """Sums rows as they pass; a subclass adds the rows of a piece."""

    def watched(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Give pieces on as they come, and sum their rows."""
        for piece in pieces:
            if piece.n:
                self._add(piece)
            yield piece

    def _add(self, piece: Piece) -> None:
        raise NotImplementedError
