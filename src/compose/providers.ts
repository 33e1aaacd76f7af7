// Configuration → providers.
import { randomUUID } from 'node:crypto'
import { reservedAudiencesOf } from '../config/cross-checks.js'
import type { Settings } from '../config/schema.js'
import { type Clock, systemClock } from '../core/clock.js'
import type { Connection } from '../ledger/connection.js'
import { findOtherProviders } from '../ledger/provider-names.js'
import { createRoleLock, type LockRole } from '../ledger/role-lock.js'
import type { Provider } from '../providers/provider.js'
import { createUnconfiguredProvider } from '../providers/unconfigured.js'
import { federationIssuer } from '../signing/discovery.js'
import type { Keyset } from '../signing/keyset.js'
import type { Logger } from '../telemetry/logger.js'
import type { Opened } from './opened.js'
import type { State } from './state.js'

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

/** Those of the configuration, and those that only the ledger still knows; closed with the program. Throws `ledger_unavailable`. */
export async function openProviders(
  opened: Opened,
  { settings, clock, keyset, state, log }: OpeningProviders,
): Promise<Map<string, Provider>> {
  const { commands, prefix, ledger } = state
  const lockRole = createRoleLock(commands, prefix, longestRoleWorkMs(settings), systemClock.monotonic)
  const providers = await createProviders({ settings, clock, keyset, isActive: ledger.isLive, lockRole })
  await addUnconfigured(providers, state, log)
  for (const provider of providers.values()) opened.add(provider, (one) => one.close())
  return providers
}

interface OpeningProviders extends Pick<ProviderDependencies, 'settings' | 'clock' | 'keyset'> {
  readonly state: Pick<State, 'commands' | 'prefix' | 'ledger'>
  readonly log: Logger
}

/** Reading, writing and reading back an AWS role's policy: three calls, and a margin. */
function longestRoleWorkMs(settings: Settings): number {
  const timeouts = Object.values(settings.providers).map((provider) => provider.timeout)
  return 3 * Math.max(5, ...timeouts) * 1000 + 5000
}

/**
 * Whoever takes a provider out of the configuration while leases of it live does not make them anybody's: they are still
 * listed, counted, locked and looked after. Throws `ledger_unavailable`.
 */
async function addUnconfigured(
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
