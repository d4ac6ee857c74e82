"""`python -m core.benchmark`: the same as `python -m core benchmark`, without the rest of the product."""

from core.benchmark.command import main

if __name__ == "__main__":
    main()
