// A Vault for tests, out of its published module. Users bring their own Vault or OpenBao.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() { os.Exit(command.Run(os.Args[1:])) }
