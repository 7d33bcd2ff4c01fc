#!/usr/bin/env bash
# Other implementations against the examples: Node `ws` and Python `websockets`, as clients of echo_std
# and as servers of client_std. Needs Cargo, Node and Python 3.11.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_python
cargo build --release --locked --features deflate --example echo_std --example client_std
echo_std=$target/examples/echo_std client_std=$target/examples/client_std

peer 120 node "$here/node_client.mjs" "$echo_std"
peer 120 node "$here/node_server.mjs" "$client_std"
peer 120 node "$here/node_deflate.mjs" "$echo_std" "$client_std"
peer 120 "$python" "$here/python_client.py" "$echo_std"
peer 120 "$python" "$here/python_server.py" "$client_std"
peer 120 "$python" "$here/python_deflate.py" "$echo_std" "$client_std"
peer 120 "$python" "$here/python_zlib.py" "$echo_std"
summary
