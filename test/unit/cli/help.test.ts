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

  test.each(commands)('help %s %s is the same', async (...command) => {
    const words = command.filter((word) => word !== undefined)
    expect(await runHallpass(['help', ...words])).toEqual(await runHallpass([...words, '--help']))
  })

  test.each([
    [['help', 'polcy'], "unknown command 'polcy'", 'Did you mean policy?'],
    [['help', 'policy', 'chek'], "unknown command 'chek'", 'Did you mean check?'],
  ])('%j says what is not there, and what may have been meant', async (argv, says, suggests) => {
    const ran = await runHallpass(argv)
    expect(ran).toMatchObject({ exitCode: 2, stdout: '' })
    expect(ran.stderr).toContain(says)
    expect(ran.stderr).toContain(suggests)
  })

  test('help of a command with more behind it runs nothing', async () => {
    const ran = await runHallpass(['help', 'exec', 'rm', '-rf'])
    expect(ran).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Usage: hallpass exec') })
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
    [['lease', 'list', '--account', '']],
    [['lease', 'show', '']],
    [['lease', 'release', '']],
    [['task', 'complete', '']],
    [['approve', '', '--reason', 'x']],
    [['exec', '--action', 'a', '--resource', 'r:1', '--task', '', '--', 'true']],
  ])('%j is a usage error', async (argv) => {
    const ran = await runHallpass(argv)
    expect(ran.exitCode).toBe(2)
    expect(ran.stderr).not.toBe('')
  })

  test('an empty value is named, before anything is asked', async () => {
    const around = { environment: { HALLPASS_URL: 'http://127.0.0.1:1', HALLPASS_TOKEN: 'a.b.c' } }
    const listed = await runHallpass(['lease', 'list', '--issued-after', ''], around)
    expect(listed).toMatchObject({ exitCode: 2, stderr: 'hallpass: --issued-after: expected a value; it is empty\n' })
    const shown = await runHallpass(['lease', 'show', ''], around)
    expect(shown).toMatchObject({ exitCode: 2, stderr: 'hallpass: show: expected a value; an argument is empty\n' })
  })
})
