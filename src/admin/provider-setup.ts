// `hallpass provider setup NAME`: exactly what the far side needs, and nothing more. Calls nobody.
import { loadConfig } from '../config/load.js'
import type { Environment } from '../config/yaml-source.js'
import { setupText as awsSetupText } from '../providers/aws-sts-setup.js'
import { setupText as vaultSetupText } from '../providers/vault-setup.js'
import { federationIssuer } from '../signing/discovery.js'
import type { CommandOutput } from './command-output.js'
import { recipesOf } from './recipes-of.js'

export interface ProviderSetupCommand {
  readonly config: string
  readonly env?: Environment
  readonly name: string
}

/** Returns the exit code: 2 for a provider that is not configured. */
export async function runProviderSetup(command: ProviderSetupCommand, output: CommandOutput): Promise<number> {
  const { settings } = await loadConfig(command.config, command.env)
  const { name } = command
  const config = Object.hasOwn(settings.providers, name) ? settings.providers[name] : undefined
  if (config === undefined) {
    output.note(
      `no provider is called ${JSON.stringify(name)}; expected one of ${Object.keys(settings.providers).join(', ')}`,
    )
    return 2
  }
  const federation = federationIssuer(settings.issuer)
  const recipes = recipesOf(settings, name)
  const text = () => {
    switch (config.type) {
      case 'vault':
        return vaultSetupText(
          name,
          config,
          recipes.map(({ recipe }) => recipe),
          federation,
        )
      case 'aws_sts':
        return awsSetupText(
          name,
          config,
          federation,
          recipes.map(({ grant, recipe }) => ({ action: grant.action, recipe })),
        )
      case 'jwt':
        return [
          `# ${name} signs its tokens itself: there is no far side to set up.`,
          `# Who verifies them needs: issuer ${settings.issuer}, keys ${settings.issuer}/.well-known/jwks.json,`,
          `# and, for verified_by: introspection, POST ${settings.issuer}/oauth/introspect with a token of its own.`,
        ].join('\n')
    }
  }
  output.print({ provider: name, type: config.type, setup: text() }, text())
  return 0
}
