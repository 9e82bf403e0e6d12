"""An S3 server on loopback that ends with its parent: prints its port, then waits for end of input.

A process of its own, since TensorFlow's file systems hold Python's lock while they wait for it.
"""

import sys

from moto.server import ThreadedMotoServer

if __name__ == "__main__":
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()
