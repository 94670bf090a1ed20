"""Entry of the light form inside an installation: bin/light.pyz ... start."""
import sys

from light.app import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
