// Configuration → providers.
import { randomUUID } from 'node:crypto'
import { reservedAudiencesOf } from '../config/cross-checks.js'
import type { Settings } from '../config/schema.js'
import type { Clock } from '../core/clock.js'
import type { Connection } from '../ledger/connection.js'
import { findOtherProviders } from '../ledger/provider-names.js'
import type { LockRole } from '../ledger/role-lock.js'
import type { Provider } from '../providers/provider.js'
import { createUnconfiguredProvider } from '../providers/unconfigured.js'
import { federationIssuer } from '../signing/discovery.js'
import type { Keyset } from '../signing/keyset.js'
import type { Logger } from '../telemetry/logger.js'

export interface ProviderDependencies {
  readonly settings: Settings
  readonly clock: Clock
  readonly keyset: Keyset
  readonly isActive: (lease: string) => Promise<boolean>
  readonly lockRole: LockRole
}

/**
 * One provider per entry; none of them calls anybody before its first lease. A kind's library is loaded only where that kind
 * is configured: the AWS SDK alone is a quarter of a second and tens of megabytes.
 */
export async function createProviders(dependencies: ProviderDependencies): Promise<Map<string, Provider>> {
  const { settings, clock, keyset } = dependencies
  const federation = federationIssuer(settings.issuer)
  const signFederationToken = (claims: {
    sub: string
    aud: string
    expiresInSeconds: number
    extra?: Record<string, unknown>
  }) => {
    const iat = Math.floor(clock.now() / 1000)
    const { sub, aud, expiresInSeconds, extra } = claims
    return keyset.sign('federation', 'JWT', {
      ...extra,
      iss: federation,
      sub,
      aud,
      iat,
      exp: iat + expiresInSeconds,
      jti: randomUUID(),
    })
  }
  const create = async (name: string, config: Settings['providers'][string]): Promise<Provider> => {
    switch (config.type) {
      case 'vault': {
        const { createVaultProvider } = await import('../providers/vault.js')
        return createVaultProvider(name, config, { clock, issuer: settings.issuer, signFederationToken })
      }
      case 'aws_sts': {
        const { createAwsStsProvider } = await import('../providers/aws-sts.js')
        return createAwsStsProvider(name, config, {
          clock,
          signFederationToken,
          federationIssuer: federation,
          lockRole: dependencies.lockRole,
        })
      }
      case 'jwt': {
        const { createSignedJwtProvider } = await import('../providers/signed-jwt.js')
        return createSignedJwtProvider(name, config, {
          clock,
          issuer: settings.issuer,
          sign: (claims) => keyset.sign('grants', 'at+jwt', { ...claims }),
          isActive: dependencies.isActive,
          reservedAudiences: reservedAudiencesOf(settings),
        })
      }
    }
  }
  const created = Object.entries(settings.providers).map(
    async ([name, config]) => [name, await create(name, config)] as const,
  )
  return new Map(await Promise.all(created))
}

/**
 * Whoever takes a provider out of the configuration while leases of it live does not make them anybody's: they are still
 * listed, counted, locked and looked after. Throws `ledger_unavailable`.
 */
export async function addUnconfigured(
  providers: Map<string, Provider>,
  state: { readonly commands: Connection; readonly prefix: string },
  log: Logger,
): Promise<void> {
  for (const name of await findOtherProviders(state.commands, state.prefix, new Set(providers.keys()))) {
    providers.set(name, createUnconfiguredProvider(name))
    log.error(
      { provider: name },
      'the ledger has leases of a provider that is not configured: they cannot be ended early',
    )
  }
}
