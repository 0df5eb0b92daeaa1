"""The worker process: receive an order, let the host carry it out, send the answer.

``python -m workers.worker --connect ENDPOINT --token TOKEN --crumb PATH``, started by the
coordinator's supervisor. One loop in one thread with a large stack: two one-line scripts overflow
the usual 8 MB inside the VM's C code, which no error handler survives.
"""

from __future__ import annotations

import argparse
import ctypes
import mmap
import os
import signal
import sys
import threading
import traceback
from typing import Final

from runtime.log import LEVELS, Log
from runtime.protocol import (
    MALFORMED,
    PROTOCOL,
    Hello,
    Refused,
    Stop,
    Welcome,
    decode_order,
    encode,
)
from runtime.transport import connect_worker
from workers.host import Host
from workers.lua import available_vms

STACK_BYTES: Final = 256 * 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def main() -> None:
    """Entry of the process; returns when the coordinator says ``Stop`` or goes away."""
    parser = argparse.ArgumentParser(prog="workers.worker")
    parser.add_argument("--connect", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--crumb", default="")
    parser.add_argument("--log-level", choices=LEVELS, default="warning")
    options = parser.parse_args()
    log = Log("worker", options.log_level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(int(os.environ.get("GEDANKEN_PARENT", os.getppid())))
    _keep_large_blocks()
    threading.stack_size(STACK_BYTES)
    failures: list[BaseException] = []

    def body() -> None:
        try:
            serve(options.connect, options.token, options.crumb, log)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=body, name="worker")
    thread.start()
    thread.join()
    if failures:
        text = "".join(traceback.format_exception(failures[0]))
        log.write("error", "internal error", traceback=text)
        sys.exit(1)


def serve(endpoint: str, token: str, crumb: str, log: Log) -> None:
    """Serve orders until ``Stop``."""
    host = Host(_shared_crumb(crumb) if crumb else None)
    channel = connect_worker(endpoint)
    try:
        hello = Hello(
            protocol=PROTOCOL,
            language="lua",
            capabilities=list(available_vms()),
            pid=os.getpid(),
            token=token,
        )
        channel.send([encode(hello)])
        while True:
            frames = channel.recv()
            try:
                order = decode_order(frames[0])
            except MALFORMED as error:
                reason = f"malformed order: {error}"
                log.write("warning", "refused an order", reason=reason)
                channel.send([encode(Refused(worker=host.worker, epoch=host.epoch, reason=reason))])
                continue
            if isinstance(order, Stop):
                return
            if isinstance(order, Welcome):
                host.worker, host.epoch = order.worker, order.epoch
                continue
            answer, blobs = host.handle(order, frames[1:])
            channel.send([encode(answer), *blobs])
    finally:
        channel.close()


def _shared_crumb(path: str) -> ctypes.Array[ctypes.c_int32]:
    """The four int32 through which the supervisor sees which agent runs."""
    with open(path, "r+b") as file:
        return (ctypes.c_int32 * 4).from_buffer(mmap.mmap(file.fileno(), 16))


def _die_with_parent(parent: int) -> None:
    """On Linux the kernel kills this process when the coordinator dies, or has died already."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _keep_large_blocks() -> None:
    """glibc hands blocks above 128 KiB back to the system when freed, and batches are such blocks:
    each tick would pay for mapping and clearing them again (0.4 ms for 600 kB, measured)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


if __name__ == "__main__":
    main()
