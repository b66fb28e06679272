"""What stands in the place of the test part where nothing may see it, as while settings are chosen."""

from __future__ import annotations

from typing import Any, NoReturn


class TestPartRead(RuntimeError):
    """Something asked for the test part while it was withheld."""

    __test__ = False  # no test of pytest's


class Withheld:
    """A loader that refuses to be read, so that a choice that looks at the test part fails rather than misleads."""

    def _refuse(self) -> NoReturn:
        raise TestPartRead("the test part was read while settings are chosen, which validation alone may do")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python and inspect only probe for these
            raise AttributeError(name)
        self._refuse()

    def __iter__(self) -> NoReturn:
        self._refuse()

    def __len__(self) -> NoReturn:
        self._refuse()
