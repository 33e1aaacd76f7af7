ui = false
api_addr = "https://openbao:8200"
cluster_addr = "https://127.0.0.1:8201"

storage "raft" {
  path = "/var/lib/openbao"
  node_id = "compose"
}

listener "tcp" {
  address = "0.0.0.0:8200"
  cluster_address = "127.0.0.1:8201"
  tls_cert_file = "/run/openbao/tls.pem"
  tls_key_file = "/run/openbao/tls.key"
}
