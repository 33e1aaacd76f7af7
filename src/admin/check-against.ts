// `hallpass policy check --against URL`: what is found in the files, and what a running broker makes of the same policies.
import { tellCandidate } from '../cli/candidate.js'
import type { CommandIo } from '../cli/connection.js'
import { type PolicyCommand, readPolicies, runPolicyCheck } from './policy.js'

/** One result of both. What does not load is asked of nobody. Returns the check's exit code; throws ClientError. */
export async function runPolicyCheckAgainst(command: PolicyCommand, url: string, io: CommandIo): Promise<number> {
  const printed: { value: unknown; text: string }[] = []
  const output = { ...io.output, print: (value: unknown, text: string) => void printed.push({ value, text }) }
  const code = await runPolicyCheck(command, output)
  try {
    if (code === 0) await tellCandidate(url, await readPolicies(command), { ...io, output })
  } finally {
    // Also where the broker does not answer: what was found in the files is true all the same.
    const [check, against] = printed
    const value = { ...(check?.value as object), ...(against === undefined ? {} : { against: against.value }) }
    io.output.print(value, printed.map(({ text }) => text).join('\n'))
  }
  return code
}
