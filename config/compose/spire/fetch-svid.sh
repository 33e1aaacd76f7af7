#!/bin/sh
# The demonstration agent's identity: a JWT-SVID for Hallpass, fetched anew long before it ends, in a file that `client` reads.
set -eu
umask 027
token=/run/svid/token
while :; do
  if spire-agent api fetch jwt -socketPath /run/spire/agent/api.sock -audience https://broker:8700 -output json \
    | grep -o '"svid" *: *"[^"]*"' | head -n 1 | cut -d'"' -f4 > "$token.new" && [ -s "$token.new" ]; then
    mv "$token.new" "$token"
    sleep 60
  else
    sleep 2
  fi
done
