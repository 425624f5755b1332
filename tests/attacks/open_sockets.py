"""Opens sockets of every kind, and connects to a server.

Lab: plain
Scores: 0
Needs: network
"""

import socket

for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(family, kind) as mine:
                mine.connect(("127.0.0.1", int("@port@")))
                print("connected")
        except (OSError, TypeError):
            continue
