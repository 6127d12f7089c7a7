#!/usr/bin/env python3
"""stall.py HOST:PORT COUNT: a relay to HOST:PORT that prints its own port, and stalls the first blob once.

Of the first PUT to an upload it hands on COUNT bytes and then nothing, until the registry gives the connection up. All
else passes as it comes. The end is told in a line, so that a story can see that it did happen.
"""
import socket
import sys
import threading

host, port = sys.argv[1].rsplit(":", 1)
count = int(sys.argv[2])
lock, stalled = threading.Lock(), False


def takes_the_stall():
    global stalled
    with lock:
        if stalled:
            return False
        stalled = True
        return True


def hand_on(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    server = socket.create_connection((host, int(port)))
    back = threading.Thread(target=hand_on, args=(server, client), daemon=True)
    back.start()
    left = None
    try:
        while data := client.recv(65536):
            at = data.find(b"PUT /v2/")
            if left is None and at >= 0 and b"/blobs/uploads/" in data[at:at + 2000] and takes_the_stall():
                left = at + count
            if left is not None:
                server.sendall(data[:left])
                left -= len(data)
                if left <= 0:
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
