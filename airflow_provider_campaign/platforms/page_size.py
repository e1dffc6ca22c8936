"""How many rows a list request asks for, if the platform lets it choose."""

from __future__ import annotations

PAGE_SIZE = 100
"""Rows that a list request asks for, if the platform lets it choose."""

MIN_PAGE_SIZE = 10
"""Rows that it asks for at the least: a page that can't be had with so few has another problem."""


class PageSize:
    """
    The number of rows that list requests ask for, shared by all lists of an account.

    :param rows: How many at the most.
    """

    def __init__(self, rows: int = PAGE_SIZE) -> None:
        self.rows = self._most = self._initial = rows
        self._has_grown = False

    def shrink(self, *, is_refused: bool) -> bool:
        """
        Ask for half as many rows, and return whether that is fewer.

        :param is_refused: Whether the platform shows no such page; else it was too slow, and may be so once only.
        """
        if self.rows <= MIN_PAGE_SIZE:
            self._most = self._initial if is_refused else self._most  # what it refuses is not the number of rows
            return False
        self.rows = max(MIN_PAGE_SIZE, self.rows // 2)
        self._most = self.rows if is_refused or self._has_grown else self._most
        return True

    def grow(self) -> None:
        """Ask for twice as many rows, as long as that has not failed."""
        self._has_grown = self._has_grown or self.rows < self._most
        self.rows = min(2 * self.rows, self._most)
