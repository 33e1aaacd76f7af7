// Every mistake that an operator can make in one line of the example: start-up stops with its line and what was expected.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseConfig } from '../../../src/config/load.js'
import { ConfigError } from '../../../src/config/problems.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

/** `from` in the example becomes `to`; then there is a problem at `path` that says what was `expected`. */
interface Mistake {
  mistake: string
  from: string
  to: string
  path: string
  expected: string
}
const mistakes = JSON.parse(readFileSync('test/fixtures/busted-lines.json', 'utf8')) as Mistake[]

let example: ExampleFolder
beforeAll(() => {
  example = writeExample()
})
afterAll(() => example.remove())

function problemsOf(text: string): ConfigError['problems'] {
  try {
    parseConfig(text, example.file, exampleEnv)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  throw new Error('it was taken')
}

/** The text put in place of `from`, and the line on which it then stands. */
function broken(from: string, to: string): { text: string; line: number } {
  const at = example.text.indexOf(from)
  if (at < 0) throw new Error(`the example has no ${from}`)
  // `‸` marks the place of the problem, where the replacement has several lines.
  const mark = Math.max(to.indexOf('‸'), 0)
  const clean = to.replace('‸', '')
  const line = (example.text.slice(0, at) + clean.slice(0, mark)).split('\n').length
  return { text: example.text.slice(0, at) + clean + example.text.slice(at + from.length), line }
}

describe('a broken configuration stops start-up, naming line, path and what was expected, for', () => {
  test.each(mistakes)('$mistake', ({ from, to, path, expected }) => {
    const { text, line } = broken(from, to)
    const problems = problemsOf(text)
    const shown = problems.map((problem) => `${problem.line} ${problem.path}: ${problem.message}`)
    const fitting = problems.filter((problem) => problem.path === path && problem.message.includes(expected))
    expect({ shown, found: fitting.length > 0 }).toEqual({ shown, found: true })
    expect({ shown, lines: fitting.map((problem) => problem.line) }).toEqual({
      shown,
      lines: expect.arrayContaining([line]),
    })
  })

  test('listening to everybody without tls', () => {
    const { text } = broken('tls: { certificate: file:tls.pem, key: file:tls.key }', '')
    const [problem] = problemsOf(text.replace('127.0.0.1:8700 ', '0.0.0.0:8700 '))
    expect(problem).toMatchObject({ path: 'listen', line: 6, message: expect.stringContaining('expected tls') })
  })

  test('several mistakes, all at once and in the order of the file', () => {
    const text = broken('depth: 5', 'depth: five').text.replace('prefix: hallpass', 'prefix: "{}"')
    expect(problemsOf(text).map(({ path }) => path)).toEqual(['redis.prefix', 'limits.task.depth'])
  })

  test('nothing at all', () => {
    expect(problemsOf('')[0]).toMatchObject({ line: 1, path: '', message: 'expected a mapping, got nothing' })
    expect(problemsOf('- a\n')[0]).toMatchObject({ line: 1, path: '', message: 'expected a mapping, got a list' })
  })

  test('names the file, and never the value of a secret', () => {
    const text = broken('url: env:REDIS_URL', 'url: "redis://:hunter2@localhost:6379"').text
    try {
      parseConfig(text, example.file, exampleEnv)
    } catch (error) {
      expect(String(error)).toContain(`${example.file}:8: redis.url: `)
      expect(String(error)).not.toContain('hunter2')
      return
    }
    throw new Error('it was taken')
  })
})
