"""A replica with nothing in it, for tests of what runs replicas: standard library, up in 50 ms.

    GET /v1/health   503 until ``--ready-after`` seconds have passed, then 200
    anything else    200 with the replica's id, also in X-Llmbudget-Replica

``--crash-after`` ends it by itself, before or after it is ready; ``--stubborn`` ignores SIGTERM;
``--with-child`` starts a child of its own, as an inference engine does.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ID = os.environ.get("LLMBUDGET_REPLICA_ID", "?")
STARTED = time.monotonic()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ready-after", type=float, default=0)
    parser.add_argument("--crash-after", type=float)
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--with-child", action="store_true")
    arguments = parser.parse_args()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ready = time.monotonic() - STARTED >= arguments.ready_after
            self.reply(200 if ready or self.path != "/v1/health" else 503)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.reply(200)

        def reply(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(ID)))
            self.send_header("x-llmbudget-replica", ID)
            self.end_headers()
            self.wfile.write(ID.encode())

    def crash() -> None:
        time.sleep(arguments.crash_after)
        print("CUDA out of memory, or so", flush=True)
        os._exit(3)

    if arguments.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if arguments.with_child:
        subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    if arguments.crash_after is not None:
        threading.Thread(target=crash, daemon=True).start()
    print(f"replica {ID} listens on {arguments.port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
