path "secret/data/settings" { capabilities = ["read"] }
