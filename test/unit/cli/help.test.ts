import { describe, expect, test } from '@jest/globals'
import { runHallpass } from '../../support/command-line.js'

const commands = [
  ['serve'],
  ['worker'],
  ['dev'],
  ['dev', 'token'],
  ['exec'],
  ['request'],
  ['task', 'open'],
  ['task', 'show'],
  ['task', 'complete'],
  ['task', 'list'],
  ['lease', 'list'],
  ['lease', 'show'],
  ['lease', 'find'],
  ['lease', 'release'],
  ['lease', 'retry'],
  ['lease', 'abandon'],
  ['revoke'],
  ['lock', 'add'],
  ['lock', 'list'],
  ['lock', 'remove'],
  ['approve'],
  ['deny'],
  ['approvals'],
  ['policy', 'check'],
  ['policy', 'schema'],
  ['audit', 'verify'],
  ['keys', 'create'],
  ['keys', 'rotate'],
  ['provider', 'setup'],
  ['doctor'],
  ['token', 'explain'],
  ['login'],
  ['logout'],
  ['whoami'],
]

describe('the command table', () => {
  test.each(commands)('%s %s shows help with an example and succeeds', async (...command) => {
    const ran = await runHallpass([...command.filter((word) => word !== undefined), '--help'])
    expect(ran.exitCode).toBe(0)
    expect(ran.stdout).toMatch(new RegExp(`Usage: hallpass ${command.join(' ').trim()}[\\s\\S]*Examples:\\n {2}\\$ `))
    expect(ran.stdout).toContain('--output <format>')
  })

  test('says at the top what the environment and the exit codes mean', async () => {
    const { stdout } = await runHallpass(['--help'])
    expect(stdout).toContain('HALLPASS_TOKEN_FILE')
    expect(stdout).toContain('7 a revocation failed')
  })

  test('knows its version', async () => {
    expect((await runHallpass(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+/)
  })

  test.each([
    [['bogus']],
    [[]],
    [['task']],
    [['task', 'open']],
    [['lease', 'show']],
    [['lease', 'list', '--bogus']],
    [['serve', 'extra']],
  ])('%j is a usage error', async (argv) => {
    const ran = await runHallpass(argv)
    expect(ran.exitCode).toBe(2)
    expect(ran.stderr).not.toBe('')
  })
})
