import { expect, test } from '@jest/globals'
import { createOutput } from '../../../src/cli/output.js'

function printed(format: 'text' | 'json', value: unknown, text: string): string {
  let out = ''
  const stdout = (part: string) => {
    out += part
  }
  createOutput(format, { stdout, stderr: () => undefined }).print(value, text)
  return out
}

test('nothing to show is no line, since another program would count one', () => {
  expect(printed('text', { records: [] }, '')).toBe('')
  expect(printed('text', {}, 'a\nb')).toBe('a\nb\n')
  expect(JSON.parse(printed('json', { records: [] }, ''))).toEqual({ records: [] })
})
