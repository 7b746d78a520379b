"""The public FraiseQL 2.19 with the same data and queries."""

from harness import Skip

TARGET = "2x point, 3x nested, 10x ilike (aim 3x / 4x)"


def measure(bench):
    raise Skip("the harness cannot start FraiseQL 2.19 yet: it needs PostgreSQL 18 and a build of its own")
    yield
