"""``python -m tvsl`` is the same as ``tvsl``."""

from tvsl.cli.main import main

if __name__ == "__main__":
    main()
