#!/usr/bin/env python3
"""stall.py HOST:PORT COUNT: a relay to HOST:PORT that prints its own port, and stalls one large blob once.

Of the first PUT with more than COUNT bytes for an upload it forwards COUNT bytes and then nothing, until the
registry closes the connection. Everything else is forwarded unchanged. It prints a line when this has happened.
"""
import re
import socket
import sys
import threading

host, port = sys.argv[1].rsplit(":", 1)
count = int(sys.argv[2])
lock, stalled = threading.Lock(), False


LARGE = re.compile(rb"PUT /v2/\S*/blobs/uploads/\S* HTTP/1.1\r\n(?:[^\r]+\r\n)*?content-length: *(\d+)\r\n", re.I)


def begins_to_stall(data):
    """The offset in data of the request that is to stall, or None."""
    global stalled
    put = LARGE.search(data)
    if not put or int(put[1]) <= count:
        return None
    with lock:
        if stalled:
            return None
        stalled = True
        return put.start()


def hand_on(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def discard(source):
    try:
        while source.recv(65536):
            pass
    except OSError:
        pass


def serve(client):
    server = socket.create_connection((host, int(port)))
    back = threading.Thread(target=hand_on, args=(server, client), daemon=True)
    back.start()
    left = None
    try:
        while data := client.recv(65536):
            at = begins_to_stall(data) if left is None else None
            if at is not None:
                left = at + count
            if left is not None:
                server.sendall(data[:left])
                left -= len(data)
                if left <= 0:
                    # Read what the client still sends, otherwise it would wait and never see the response.
                    threading.Thread(target=discard, args=(client,), daemon=True).start()
                    back.join()
                    print("stalled", flush=True)
                    break
            else:
                server.sendall(data)
        else:
            server.shutdown(socket.SHUT_WR)
            back.join()
    except OSError:
        pass
    client.close()
    server.close()


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
