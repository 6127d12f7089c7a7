#!/usr/bin/env python3
"""cut.py FILE URL START COUNT: a PATCH that announces FILE from byte START on, sends COUNT bytes and disconnects.

No client can be told to break off after a certain byte; a time limit would cut somewhere else on every machine.
"""
import base64
import http.client
import os
import sys
import urllib.parse

path, url, start, count = sys.argv[1], urllib.parse.urlsplit(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
with open(path, "rb") as f:
    data = f.read()
connection = http.client.HTTPConnection(url.netloc, timeout=30)
connection.putrequest("PATCH", url.path + ("?" + url.query if url.query else ""))
connection.putheader("Content-Type", "application/octet-stream")
connection.putheader("Content-Range", f"{start}-{len(data) - 1}")
connection.putheader("Content-Length", str(len(data) - start))
if os.environ.get("CLIENTS_USER"):
    pair = os.environ["CLIENTS_USER"] + ":" + os.environ.get("CLIENTS_PASS", "")
    connection.putheader("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
connection.endheaders()
connection.send(data[start:start + count])
connection.close()
