"""Hold the plugin to the host's contract."""

import pytest

from restorebench.testing import checks


@pytest.mark.parametrize("check", checks("restorer", "gauss"), ids=str)
def test_conformance(check):
    check()
