"""Where containers reach this machine: its loopback, where the embedded AWS listens, is not theirs."""

import errno
import socket
import struct
import sys

BRIDGE = "docker0"
_GET_ADDRESS = 0x8915


def address() -> str | None:
    """This machine's address on Docker's own bridge; none without one, as on a Mac."""
    if sys.platform != "linux":
        return None
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            told = fcntl.ioctl(any_socket, _GET_ADDRESS, struct.pack("256s", BRIDGE.encode()))
        except OSError:
            return None
    return socket.inet_ntoa(told[20:24])


def is_ours(address: str) -> bool:
    """Whether this machine can listen there; where it cannot, an engine in a virtual machine leads to the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        try:
            listening.bind((address, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return False
    return True
