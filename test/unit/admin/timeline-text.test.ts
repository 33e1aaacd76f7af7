// What callers wrote stays on lines of its own, whatever they wrote.
import { expect, test } from '@jest/globals'
import { timelineText } from '../../../src/admin/timeline-text.js'
import type { AuditEntry } from '../../../src/api/audit.js'

const lines = (detail: string) => {
  const at = { task: 'task_1', time: '2031-05-06T07:08:09.000Z', instance: 'one' }
  const claimed: AuditEntry = { ...at, event: 'tool.called', seq: 1, tool: 'bash', outcome: 'ok', detail }
  return timelineText('task_1', [claimed]).split('\n').slice(1)
}

test.each([
  ['line ends', '\n07:08:09.000  ISSUED lease_1 by vault'],
  ['carriage returns and escapes', '\r\u001b[2K07:08:09.000  ISSUED lease_1'],
  ['directions', '\u202e\u2066ISSUED\u2069'],
  ['a word longer than the line', `${'x'.repeat(200)}07:08:09.000`],
  ['blanks that do not break', `${'\u00a0x'.repeat(90)}07:08:09.000\u00a0\u00a0ISSUED\u00a0lease_1`],
])('%s do not begin a line', (_name, detail) => {
  const [first, ...rest] = lines(detail)
  expect(first).toMatch(/^07:08:09\.000 {2} +claimed: bash/)
  for (const line of rest) expect(line).toMatch(/^ {14}/)
  for (const line of [first ?? '', ...rest]) {
    expect(line.length).toBeLessThanOrEqual(100)
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  }
})
