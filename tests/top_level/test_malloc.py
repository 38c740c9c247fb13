"""glibc's malloc does what it is told."""

import subprocess
import sys

# Threads that all hold memory at once, and the number of pools that they have it from.
_POOLS = """
import ctypes, os, sys, threading
from edge_classifier.malloc import M_ARENA_MAX, mallopt

if sys.argv[1] != "0":
    mallopt(M_ARENA_MAX, int(sys.argv[1]))
libc, all_there = ctypes.CDLL(None), threading.Barrier(5)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p

def take():
    libc.malloc(1000)
    all_there.wait(20)

threads = [threading.Thread(target=take) for _ in range(4)]
for one in threads:
    one.start()
all_there.wait(20)
for one in threads:
    one.join()
file = ctypes.c_void_p(libc.fdopen(os.dup(1), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def test_malloc_has_no_more_pools_than_it_may() -> None:
    def pools(most: int) -> int:
        command = [sys.executable, "-c", _POOLS, str(most)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.count("<heap nr=")

    assert pools(2) == 2
    assert pools(0) > 2
