"""A name server for the trial of the image: every name has the address 127.0.0.1.

    deploy/container/names.py ADDRESS
"""

import socket
import struct
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
while True:
    query, client = server.recvfrom(512)
    end = query.index(0, 12) + 5
    kind = struct.unpack(">H", query[end - 4 : end - 2])[0]
    # The answer repeats the question. Only addresses of IPv4 are known.
    answer = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 127, 0, 0, 1) if kind == 1 else b""
    server.sendto(query[:2] + struct.pack(">HHHHH", 0x8180, 1, kind == 1, 0, 0) + query[12:end] + answer, client)
