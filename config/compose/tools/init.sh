#!/bin/sh
# Makes what the other services need and no file of the repository holds: certificates, the sealing key, Redis's password.
# What is there is left alone. Runs as root without a network, since each volume is given to the one user who needs it.
set -eu
umask 077
root=${INIT_ROOT:-/volumes}
# Test runs are not root and cannot give files away.
own() { [ "$(id -u)" -ne 0 ] || chown -R "$@"; }

# authority NAME COMMON-NAME: a certificate authority of its own for each purpose.
authority() {
  [ -f "$root/init/$1.pem" ] && return
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" \
    -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$root/init/$1.key" -out "$root/init/$1.pem" 2>/dev/null
}

# certificate AUTHORITY COMMON-NAME FILE EXTENSIONS: FILE.key and FILE.pem, signed by the authority.
certificate() {
  [ -f "$3.pem" ] && return
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$2" \
    -keyout "$3.key" -out "$3.csr" 2>/dev/null
  printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n%b' "$4" > "$3.ext"
  openssl x509 -req -in "$3.csr" -CA "$root/init/$1.pem" -CAkey "$root/init/$1.key" -days 825 \
    -extfile "$3.ext" -out "$3.pem" 2>/dev/null
  rm "$3.csr" "$3.ext"
}

server() {
  certificate tls "$1" "$2/tls" "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:$1,DNS:localhost,IP:127.0.0.1\n"
}

mkdir -p "$root/init"
authority tls 'Hallpass compose TLS'
authority spire-root 'Hallpass compose SPIRE'
authority spire-nodes 'Hallpass compose SPIRE nodes'

cp "$root/init/tls.pem" "$root/ca/ca.pem"
server broker "$root/hallpass"
server openbao "$root/openbao-tls"
server sts "$root/sts-tls"

[ -f "$root/hallpass/sealing.key" ] || openssl rand -base64 32 > "$root/hallpass/sealing.key"
if [ ! -f "$root/hallpass/redis.url" ]; then
  password=$(openssl rand -hex 32)
  digest=$(printf %s "$password" | openssl dgst -sha256 -r | cut -d' ' -f1)
  sed "s/@DIGEST@/$digest/" "${INIT_TEMPLATES:-/etc/init}/users.acl" > "$root/redis-acl/users.acl"
  printf 'redis://hallpass:%s@redis:6379' "$password" > "$root/hallpass/redis.url"
fi

cp "$root/init/spire-root.pem" "$root/init/spire-root.key" "$root/init/spire-nodes.pem" "$root/spire-server-tls/"
cp "$root/init/spire-root.pem" "$root/spire-agent-tls/root.pem"
certificate spire-nodes compose "$root/spire-agent-tls/node" ''

# One user each: numbers as in docker-compose.yml. Only the TLS authority's certificate and SPIRE's bundle are for all.
own 1000:1000 "$root/hallpass" "$root/keys" "$root/audit-broker" "$root/audit-worker"
own 2001:2001 "$root/openbao-tls" "$root/openbao-data" "$root/openbao-operator"
own 2002:2002 "$root/redis-acl" "$root/redis-data"
own 2003:2003 "$root/sts-tls"
own 2004:2004 "$root/spire-server-tls" "$root/spire-server-data" "$root/spire-server-socket" "$root/spire-bundle"
own 2005:2005 "$root/spire-agent-tls" "$root/spire-agent-data" "$root/spire-agent-socket"
own 2006:2100 "$root/svid"
chmod 755 "$root/ca" "$root/spire-bundle" "$root/spire-agent-socket"
chmod 644 "$root/ca/ca.pem"
chmod 750 "$root/svid"
