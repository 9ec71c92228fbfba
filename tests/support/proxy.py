"""A small reverse proxy between a script and Azurite that sees each call and can spoil it."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OWN_HEADERS = ("connection", "content-length", "date", "server", "transfer-encoding")
ERROR = '<?xml version="1.0"?><Error><Code>{}</Code><Message>{}</Message></Error>'


def error(status, code, **headers):
    """Return an error response of the storage service; a header's name has _ for -."""
    content = ERROR.format(code, code).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.update({"x-ms-error-code": code, "Content-Type": "application/xml"})
    return status, headers, content


def half(response):
    """Return the response cut in its middle."""
    status, headers, content = response
    return status, {**headers, "Content-Length": str(len(content))}, content[: len(content) // 2]


@contextlib.contextmanager
def proxy(port, intercept):
    """Yield the port of a proxy before this port.

    intercept(method, path, forward) returns the response to a call, (status, headers, content), or
    None to cut the connection without one. forward() makes the call and returns its response.
    """
    import urllib3

    pool = urllib3.PoolManager()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else a response's body waits 40 ms for its headers' ACK

        def handle(self):
            with contextlib.suppress(ConnectionError):  # the script was killed
                super().handle()

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def forward():
                url = f"http://127.0.0.1:{port}{self.path}"
                found = pool.request(self.command, url, body=body, headers=dict(self.headers))
                headers = {k: v for k, v in found.headers.items() if k.lower() not in OWN_HEADERS}
                return found.status, headers, found.data

            response = intercept(self.command, self.path, forward)
            if response is None:
                self.close_connection = True
                return
            status, headers, content = response
            headers = {"Content-Length": str(len(content)), **headers}
            self.close_connection = len(content) < int(headers["Content-Length"])
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST = do_DELETE = do_GET

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
