path "identity/oidc/token/operators" { capabilities = ["read"] }
