#!/bin/sh
# Registers the demonstration agent, then keeps the trust bundle where Hallpass reads it: SPIRE's keys rotate.
set -eu
socket=/run/spire/server/api.sock
bundle=/run/spire/bundle/bundle.json
domain=spiffe://compose.hallpass.test
agent=$domain/agent/demo/coder

if ! spire-server entry show -socketPath "$socket" -spiffeID "$agent" | grep -q "$agent"; then
  spire-server entry create -socketPath "$socket" -parentID "$domain/spire/agent/x509pop/compose" \
    -spiffeID "$agent" -selector unix:uid:2006
fi
while :; do
  # A bundle half written would be an error to its reader: rename is all or nothing.
  spire-server bundle show -socketPath "$socket" -format spiffe > "$bundle.new"
  chmod 644 "$bundle.new"
  mv "$bundle.new" "$bundle"
  sleep 30
done
