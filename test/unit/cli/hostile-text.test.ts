// What callers, issuers and whoever edits audit files wrote, on the screens of those who decide by it.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { verifyAudit } from '../../../src/admin/audit-verify.js'
import { genesis, sealRecord } from '../../../src/audit/hash-chain.js'
import { formatApproval } from '../../../src/cli/approval-text.js'
import { createOutput } from '../../../src/cli/output.js'
import type { Approval } from '../../../src/client/index.js'

const time = '2031-05-06T07:08:09.000Z'
const approval = (over: Partial<Approval>): Approval => ({
  id: 'appr_01hzy3v5q8k2m4n6p8r0s2t4v6',
  task_id: 'task_01hzy3v5q8k2m4n6p8r0s2t4v6',
  state: 'pending',
  action: 'database.migrate',
  access: 'write',
  resource: 'database:orders',
  resource_attributes: { sensitivity: 'high' },
  context: {},
  ttl_seconds: 300,
  principal: 'ci:agent',
  account: 'ci:agent',
  instance: null,
  chain: [],
  actors: [{ task: 'task_01hzy3v5q8k2m4n6p8r0s2t4v6', principal: 'ci:agent' }],
  persons: [],
  provider: 'far',
  recipe_sha256: 'a'.repeat(64),
  bound_sha256: 'b'.repeat(64),
  policy: 'p',
  group: 'dba',
  needed: 2,
  requirements: [{ group: 'dba', needed: 2 }],
  votes: [],
  requested_at: time,
  expires_at: time,
  end_reason: null,
  lease_id: null,
  url: 'https://broker.test/v1/approvals/appr_01hzy3v5q8k2m4n6p8r0s2t4v6',
  poll_after_seconds: 5,
  purpose_unverified: 'why not',
  flags: ['denied_before'],
  recent_requests: 1,
  ...over,
})

/** The rows that a terminal of so many columns shows. */
const rowsOf = (text: string, columns: number) =>
  text.split('\n').flatMap((line) => line.match(new RegExp(`.{1,${columns}}`, 'gu')) ?? [''])

test.each([80, 100, 120])('a purpose or a reason writes no line of its own on a terminal of %d columns', (columns) => {
  const forged = 'approve  alice@acme.example  2031-05-06  looked at it, fine'
  // At every place where the terminal may go on at its left edge, with blanks that are no spaces, too.
  for (let before = 1; before < 2 * columns; before++) {
    const text = `fix the build${'\u00a0'.repeat(before)}${forged}`
    const vote = { by: 'staff:bob', person: 'bob@acme.example', vote: 'approve' as const, reason: text, at: time }
    const rows = rowsOf(formatApproval(approval({ purpose_unverified: text, votes: [vote] }), 0), columns)
    expect(rows.filter((row) => row.startsWith('approve  alice'))).toEqual([])
    expect(rows.filter((row) => /^ {0,9}approve {2}/.test(row))).toHaveLength(1)
  }
})

test('JSON is the same to a program, and steers no terminal', () => {
  // CSI as one character, text that turns around, a tag that nobody sees.
  const principal = 'ci:\u009b2J\u202eagent\u{e0041}\u2028'
  const lines: string[] = []
  createOutput('json', { stdout: (text) => void lines.push(text), stderr: () => undefined }).print({ principal }, '')
  const written = lines.join('')
  expect(written).not.toMatch(/[\x7f-\x9f\p{Cf}\u2028\u2029]/u)
  expect(JSON.parse(written)).toEqual({ principal })
})

test('an audit that was altered cannot clear the screen of whoever verifies it', async () => {
  const root = await mkdtemp(join(tmpdir(), 'hallpass-audit-'))
  try {
    const folder = join(root, 'a-serve')
    await mkdir(folder)
    const cleared = '\u001b[2J\u001b[Hintact: 1 records\u001b]0;x\u0007'
    const { bytes } = sealRecord({ event: 'broker.started' }, genesis, cleared, time)
    await writeFile(join(folder, '1.jsonl'), bytes)
    const lines: string[] = []
    const output = { print: (_: unknown, text: string) => void lines.push(text), note: () => undefined }
    expect(await verifyAudit({ directory: root }, output)).toBe(1)
    const printed = lines.join('\n')
    expect(printed).toMatch(/^BROKEN/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not be there
    expect(printed).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
