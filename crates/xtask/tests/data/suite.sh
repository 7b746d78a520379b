#!/bin/sh
# Stands for a test binary: `busy` passes only by itself, `broken` never, and "crowd" fails four at once.
case "$*" in
    *"--exact busy"*) echo 'test busy ... ok <0.001s>' ;;
    *busy*) echo 'test busy ... FAILED <0.001s>'; exit 101 ;;
    *crowd*) for name in a b c d; do echo "test $name ... FAILED <0.001s>"; done; exit 101 ;;
    *broken*) echo 'test broken ... FAILED <0.001s>'; exit 101 ;;
    *crash*) echo 'test a ... ok <0.001s>'; kill -9 $$ ;;
    *) echo 'test a ... ok <0.001s>' ;;
esac
