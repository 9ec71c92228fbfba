"""A small reverse proxy between a script and Azurite that can answer in Azurite's place."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message></Error>'


@contextlib.contextmanager
def proxy(port, intercept):
    """Yield the port of a proxy before this port.

    intercept(method, path) returns None to pass a request on, or (status, error code) to answer it.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = intercept(self.command, self.path)
            if answer:
                status, code = answer
                headers, content = [("x-ms-error-code", code)], ERROR.format(code, code).encode()
                headers.append(("Content-Type", "application/xml"))
            else:
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                upstream.request(self.command, self.path, body, dict(self.headers))
                response = upstream.getresponse()
                status, headers, content = response.status, response.getheaders(), response.read()
                upstream.close()
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

        def log_message(self, *arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
