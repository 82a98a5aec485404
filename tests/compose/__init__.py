"""The stack as ops runs it, proven in containers: `python -m tests.compose.prove` (make test-stack).

The `test_*` files beside it need no container.
"""
