"""A small reverse proxy between a script and Azurite that sees each call and can spoil it."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OPERATIONS = {"PUT": "create", "GET": "receive", "POST": "send", "DELETE": "delete"}
OWN_HEADERS = ("connection", "content-length", "transfer-encoding")
PORTAL = 200, {"Content-Type": "text/html"}, b"<html><p>Log in"  # the response of no storage
ERROR = '<?xml version="1.0"?><Error><Code>{0}</Code><Message>{0}</Message></Error>'


def error(status, code):
    """Return an error response of the storage service."""
    headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
    return status, headers, ERROR.format(code).encode()


def lose_answer(forward):
    """Make the call, and cut the connection instead of answering."""
    forward()


class Recorder:
    """An intercept() that lets all calls through but some, and knows them all.

    calls: the name of each, as "send queue-enrich". times: when it came (of time.monotonic()).
    messages: how many each received. hits: how many calls met with the fault.
    """

    def __init__(self, spoiled="", fault=None, first=1, times=1):
        """Let the calls whose name begins so meet with the fault, from the first-th on, so many times.

        fault(forward) returns what intercept() does; without one, no call is spoiled.
        """
        self.spoiled, self.fault = spoiled, fault
        self.chosen = range(first, first + times)
        self.calls, self.times, self.messages = [], [], []
        self.seen = self.hits = 0

    def __call__(self, call, forward):
        self.calls.append(call)
        self.times.append(time.monotonic())
        self.messages.append(0)
        if call.startswith(self.spoiled):
            self.seen += 1
            if self.fault and self.seen in self.chosen:
                self.hits += 1
                return self.fault(forward)
        response = forward()
        if call.startswith("receive"):
            self.messages[-1] = response[2].count(b"<MessageId>")
        return response


@contextlib.contextmanager
def running_proxy(port, intercept):
    """Yield the port of a proxy before this port.

    intercept(call, forward) returns the response to a call, (status, headers, content), or None to
    cut the connection without one. The call is one of OPERATIONS and the queue's name (the account's,
    if it is about none), as "delete queue-validate" of a message. forward() makes the call and returns
    its response.
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
                return found.status, found.headers, found.data

            _, account, *names = self.path.split("?")[0].split("/")
            queue = names[0] if names else account
            response = intercept(f"{OPERATIONS[self.command]} {queue}", forward)
            if response is None:
                self.close_connection = True
                return
            status, headers, content = response
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in OWN_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", len(content))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST = do_DELETE = do_GET

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
