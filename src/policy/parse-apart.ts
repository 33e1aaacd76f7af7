// A candidate set that somebody sends is parsed and validated on a thread of its own: Cedar takes seconds over some texts of a
// few KiB, in one call that lets nobody else in, and exchanges go on meanwhile.
import { Worker } from 'node:worker_threads'
import { type PolicyProblem, type PolicyRules, type PolicySet, PolicySetError } from './policy-set.js'

/** Rules that another thread can be handed. */
export interface PlainPolicyRules extends PolicyRules {
  readonly groups: ReadonlySet<string>
  readonly approved: ReadonlySet<string>
}

export interface ApartInput {
  readonly files: Readonly<Record<string, string>>
  readonly rules: PlainPolicyRules
}

export type ApartAnswer = { readonly set: PolicySet } | { readonly problems: readonly PolicyProblem[] }

const longestMs = 20_000
const resourceLimits = { maxOldGenerationSizeMb: 512 }

/** As `parsePolicySet`; what takes longer than 20 s or too much memory is refused as well. Runs compiled alone. */
export async function parsePolicySetApart(files: ApartInput['files'], rules: PlainPolicyRules): Promise<PolicySet> {
  const workerData: ApartInput = { files, rules }
  // Nothing of our environment is needed there.
  const worker = new Worker(new URL('./parse-apart-thread.js', import.meta.url), {
    workerData,
    resourceLimits,
    env: {},
  })
  try {
    const answer = await answerOf(worker)
    if ('problems' in answer) throw new PolicySetError(answer.problems)
    return answer.set
  } finally {
    await worker.terminate()
  }
}

async function answerOf(worker: Worker): Promise<ApartAnswer> {
  return await new Promise((resolve) => {
    const refuse = (message: string) =>
      resolve({ problems: [{ file: '*.cedar', line: 1, column: 1, message: `cannot be validated: ${message}` }] })
    const timer = setTimeout(() => refuse(`it takes longer than ${longestMs / 1000} s`), longestMs)
    worker.once('message', (answer: ApartAnswer) => resolve(answer))
    worker.once('error', (error) => refuse(error.message))
    worker.once('exit', () => {
      clearTimeout(timer)
      refuse('its thread ended')
    })
  })
}
