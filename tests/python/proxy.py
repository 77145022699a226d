"""A way to an endpoint on which requests can be made to fail."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy:
    """Forwards to `endpoint`. `fail(method, path, target)` gives a status and a body to answer instead, or None;
    `change(path, body, headers)` gives the headers that are sent on."""

    def __init__(self, endpoint):
        self.fail = lambda method, path, target: None
        self.change = lambda path, body, headers: headers
        proxy, address = self, urlparse(endpoint).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                failure = proxy.fail(self.command, self.path, self.headers.get("x-amz-target", ""))
                if failure:
                    return self.reply(failure[0], {"content-type": "application/x-amz-json-1.0"}, failure[1])
                connection = http.client.HTTPConnection(address, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
                headers = proxy.change(self.path, body, headers)
                try:
                    connection.request(self.command, self.path, body=body, headers=headers)
                    response = connection.getresponse()
                    self.reply(response.status, dict(response.getheaders()), response.read())
                finally:
                    connection.close()

            def reply(self, status, headers, body):
                self.send_response(status)
                # What a HEAD request is told of an object's length is not the length of its answer.
                is_head = self.command == "HEAD"
                for name, value in headers.items():
                    if name.lower() not in HOP or (is_head and name.lower() == "content-length"):
                        self.send_header(name, value)
                if not is_head:
                    self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
