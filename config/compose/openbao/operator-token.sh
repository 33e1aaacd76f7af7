#!/bin/sh
# Prints an ID token of the operator: log in with the password that setup.sh made, and ask for a token for Hallpass.
set -eu
state=${SETUP_STATE:-/run/openbao-operator}
BAO_TOKEN=$(bao write -field=token auth/userpass/login/operator password=@"$state/operator.password")
export BAO_TOKEN
bao read -field=token identity/oidc/token/operators
