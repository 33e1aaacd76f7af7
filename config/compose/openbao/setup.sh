#!/bin/sh
# At each start: initialises OpenBao if nobody has, and unseals it. Once: gives Hallpass the least that it needs, as
# `hallpass provider setup openbao` prints it, gives operators an identity, and throws the root token away.
set -eu
umask 077
state=${SETUP_STATE:-/run/openbao-operator}
here=${SETUP_FILES:-/etc/openbao}
issuer=${HALLPASS_ISSUER:-https://broker:8700}
address=${HALLPASS_AUDIENCE:-https://openbao:8200}

until bao status > "$state/status" 2>&1 || grep -q '^Sealed' "$state/status"; do sleep 1; done
if grep -q '^Initialized *false' "$state/status"; then
  bao operator init -key-shares=1 -key-threshold=1 > "$state/init.new"
  sed -n 's/^Unseal Key 1: //p' "$state/init.new" | tr -d '\n' > "$state/unseal.key"
  sed -n 's/^Initial Root Token: //p' "$state/init.new" > "$state/root.token"
  rm "$state/init.new"
fi
# Not `operator unseal KEY`: a process's arguments are for all to see.
if ! bao status > /dev/null 2>&1; then bao write sys/unseal key=@"$state/unseal.key" > /dev/null; fi
until bao status > /dev/null 2>&1; do sleep 1; done
[ -f "$state/root.token" ] || exit 0

BAO_TOKEN=$(cat "$state/root.token")
export BAO_TOKEN
# A single node takes a moment to become active after unsealing.
until bao token lookup > /dev/null 2>&1; do sleep 1; done
mounted() { bao "$1" list | grep -q "^$2/"; }

# Hallpass: one policy per recipe, one token role, a login by its own federation key.
for policy in "$here"/policies/*.hcl; do bao policy write "$(basename "$policy" .hcl)" "$policy"; done
mounted secrets secret || bao secrets enable -path=secret kv-v2
bao kv put -mount=secret settings colour=blue > /dev/null
bao write auth/token/roles/hallpass-lease allowed_policies=hp-settings orphan=true renewable=false \
  token_type=service token_no_default_policy=true token_explicit_max_ttl=24h
mounted auth jwt || bao auth enable jwt
bao write auth/jwt/config jwks_url="$issuer/federation/.well-known/jwks.json" jwks_ca_pem=@"$BAO_CACERT" \
  bound_issuer="$issuer/federation" jwt_supported_algs=ES256
bao write auth/jwt/role/hallpass role_type=jwt user_claim=sub bound_subject=hallpass bound_audiences="$address" \
  clock_skew_leeway=5 expiration_leeway=5 not_before_leeway=5 \
  token_policies=hallpass token_no_default_policy=true token_type=service token_ttl=1h token_max_ttl=1h

# Operators: a user whose password is made here, and ID tokens for Hallpass alone.
mounted auth userpass || bao auth enable userpass
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$state/operator.password"
bao write auth/userpass/users/operator password=@"$state/operator.password" token_policies=operator \
  token_no_default_policy=true token_ttl=15m token_max_ttl=15m
accessor=$(bao auth list -detailed | awk '$1 == "userpass/" { print $3 }')
bao write identity/entity name=operator
entity=$(bao read -field=id identity/entity/name/operator)
bao write identity/entity-alias name=operator canonical_id="$entity" mount_accessor="$accessor"
bao write identity/oidc/config issuer="$address"
bao write identity/oidc/key/operators allowed_client_ids=hallpass-operators algorithm=RS256
bao write identity/oidc/role/operators key=operators client_id=hallpass-operators ttl=1h \
  template='{"operator": {{identity.entity.name}}}'

bao token revoke -self
rm "$state/root.token"
