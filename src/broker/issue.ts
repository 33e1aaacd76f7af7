// The one call that mints: once, in time, never retried. Whatever goes wrong, the lease is ended before the error is thrown.
import { BrokerError } from '../core/errors.js'
import { lockTargets } from '../ledger/lock-names.js'
import type { Pass } from '../providers/breaker.js'
import { type Handle, type Issued, ProviderError } from '../providers/provider.js'
import { notActivated } from './activate.js'
import { endLeases } from './end-leases.js'
import { lockedBy } from './locked-by.js'
import type { Caller, Parts } from './parts.js'
import type { Reserved } from './reserve.js'

/** How far the lease's due time lies behind the provider's time-out (reserve.lua): we must be over well before it. */
const marginMs = 4000

/** Throws `provider_failed` (502), `provider_unavailable` (503), or `task_closed` and `locked` where that ended it meanwhile. */
export async function issueOrEnd(parts: Parts, caller: Caller, reserved: Reserved): Promise<Issued> {
  const { provider } = reserved.resolved
  const { toIssue, recipe, pass } = reserved
  // A process that was stopped for long may wake up here: minting now would outlive what the ledger expects.
  const elapsedMs = parts.clock.monotonic() - reserved.sentAt
  const remainingMs = toIssue.deadline - reserved.now - elapsedMs
  if (elapsedMs > marginMs || remainingMs <= 0) {
    pass.withdrawn()
    await endLeases(parts, [toIssue.id], { reason: 'mint_failed', actor: 'broker', mintOver: true })
    throw new BrokerError('provider_unavailable', 'too late to mint; ask again', { retryAfterSeconds: 1 })
  }
  const note = createNote(parts, reserved)
  const call = provider.issue({ ...toIssue, remainingMs }, recipe, note.handle)
  const timeoutMs = provider.timeoutSeconds * 1000
  try {
    const issued = await withTimeout(call, Math.min(timeoutMs, remainingMs))
    pass.answered()
    return issued
  } catch (error) {
    // The answer that nobody waits for any more may still name what has to be revoked.
    if (error instanceof MintTimeout) void call.then((late) => note.handle(late.handle)).catch(() => undefined)
    tellBreaker(pass, error, remainingMs >= timeoutMs)
    const mintOver = !mayStillCome(error)
    await endLeases(parts, [toIssue.id], { reason: 'mint_failed', actor: 'broker', mintOver })
    throw note.refusal() ?? failureOf(parts, caller, reserved, error)
  }
}

/** What is known so far goes into the ledger; remembers why the ledger would not have it, for the caller. */
function createNote(parts: Parts, { toIssue, record }: Reserved) {
  let refusal: BrokerError | null = null
  return {
    refusal: () => refusal,
    async handle(handle: Handle) {
      const sealed = parts.sealing.seal(handle, toIssue.id, record.provider)
      const targets = lockTargets({ id: toIssue.id, record })
      const noted = await parts.ledger.noteHandle(toIssue.id, sealed, targets)
      if (noted === 'ok') return
      refusal = noted === 'locked' ? await lockedBy(parts, targets) : notActivated(noted)
      throw new ProviderError('permanent', 'the lease was ended while its credential was being minted')
    },
  }
}

/** `inFull`: the call had the provider's whole time-out. A caller who asks for a second must not be able to open the breaker. */
function tellBreaker(pass: Pass, error: unknown, inFull: boolean): void {
  if (!mayStillCome(error)) {
    // What is not the provider's word (the ledger did not take the handle) says nothing of it.
    if (error instanceof ProviderError) pass.answered()
    else pass.withdrawn()
  } else if (inFull) pass.unanswered()
  else pass.withdrawn()
}

class MintTimeout extends Error {}

/** Without a definite answer the provider may still create it: once the call's time is over it is looked for by its mark. */
const mayStillCome = (error: unknown) =>
  error instanceof MintTimeout || (error instanceof ProviderError && error.kind === 'unavailable')

async function withTimeout<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new MintTimeout('the provider did not answer in time')), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function failureOf(parts: Parts, caller: Caller, reserved: Reserved, error: unknown): Error {
  const { name } = reserved.resolved.provider
  parts.log.warn(
    { err: error, provider: name, lease: reserved.toIssue.id, request_id: caller.requestId },
    'minting failed',
  )
  if (error instanceof BrokerError) return error
  if (mayStillCome(error)) {
    return new BrokerError('provider_unavailable', `${name} cannot be reached or does not answer in time`, {
      retryAfterSeconds: 5,
      cause: error,
    })
  }
  return new BrokerError('provider_failed', `${name} did not give the credential; nothing was kept`, { cause: error })
}
