path "auth/token/create/hallpass-lease" {
  capabilities = ["update"]
  allowed_parameters = { "policies" = [], "ttl" = [], "explicit_max_ttl" = [], "num_uses" = [], "display_name" = [], "meta" = [] }
  required_parameters = ["ttl", "explicit_max_ttl"]
}
path "auth/token/lookup-accessor" { capabilities = ["update"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
