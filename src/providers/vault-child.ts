// The one token that a lease stands on: an orphan with exactly the recipe's policies, ending with the lease.
import { Secret } from '../core/secret.js'
import { type LeaseToIssue, ProviderError } from './provider.js'
import { parseAnswer, tokenAnswer } from './vault-answers.js'
import type { VaultRecipe } from './vault-config.js'
import { metaOf } from './vault-mark.js'
import type { TimeBudget, VaultParts } from './vault-parts.js'

export interface Child {
  token: Secret
  accessor: string
  /** Epoch milliseconds at which Vault ends it. */
  endsAt: number
}

// `secret`: one read and none left for a second secret; the use left over keeps the token, and so the secret, alive.
const uses = { secret: 2, kv: 1, token: 0 }

/** Creates it and checks that it is what was asked for: Vault caps silently. Throws ProviderError. */
export async function createChild(
  vault: VaultParts,
  lease: LeaseToIssue,
  recipe: VaultRecipe,
  budget: TimeBudget,
): Promise<Child> {
  const seconds = budget.lifetimeSeconds()
  const numUses = uses[recipe.kind]
  const body = {
    policies: recipe.policies,
    ttl: `${seconds}s`,
    explicit_max_ttl: `${seconds}s`,
    display_name: lease.id,
    meta: metaOf(vault.owner, lease),
    num_uses: numUses === 0 ? undefined : numUses,
  }
  const path = `auth/token/create/${vault.config.token_role}`
  const answer = await vault.login.send({ method: 'POST', path, body, ...budget.call() })
  const { auth } = parseAnswer(tokenAnswer, answer, path)
  const wrong = differences(auth, { policies: recipe.policies, seconds, numUses })
  if (wrong.length > 0) {
    await revokeUnwanted(vault, auth.accessor)
    const role = vault.config.token_role
    throw new ProviderError('permanent', `the token role ${role} did not give what was asked for: ${wrong.join('; ')}`)
  }
  return {
    token: new Secret(auth.client_token),
    accessor: auth.accessor,
    endsAt: vault.clock.now() + auth.lease_duration * 1000,
  }
}

type Given = ReturnType<typeof tokenAnswer.parse>['auth']

function differences(given: Given, asked: { policies: string[]; seconds: number; numUses: number }): string[] {
  const wrong: string[] = []
  const policies = sorted([...(given.policies ?? []), ...(given.identity_policies ?? [])])
  const wanted = sorted(asked.policies)
  if (policies !== wanted) wrong.push(`policies ${policies} instead of ${wanted}`)
  if (given.lease_duration !== asked.seconds) {
    wrong.push(`a life of ${given.lease_duration} s instead of ${asked.seconds} s (token_explicit_max_ttl?)`)
  }
  if (given.num_uses !== asked.numUses) wrong.push(`${given.num_uses} uses instead of ${asked.numUses}`)
  if (given.renewable) wrong.push('renewable (renewable=false is missing)')
  if (!given.orphan) wrong.push('a child of our login (orphan=true is missing)')
  if (given.token_type !== 'service' || given.accessor === '')
    wrong.push('no service token (token_type=service is missing)')
  return wrong
}

function sorted(policies: readonly string[]): string {
  return [...new Set(policies)].sort().join(',')
}

/** Nobody has it and it ends by itself; so a failure here is no second error. */
async function revokeUnwanted(vault: VaultParts, accessor: string): Promise<void> {
  if (accessor === '') return
  const { namespace, timeout } = vault.config
  const path = 'auth/token/revoke-accessor'
  const call = { method: 'POST' as const, path, body: { accessor }, namespace, timeoutMs: timeout * 1000 }
  await vault.login.send(call).catch(() => {})
}
