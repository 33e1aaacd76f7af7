// Exit code 1 says that something changes. What could not be compared is 2.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { runHallpass } from '../../support/command-line.js'
import { type ExampleFolder, exampleEnv, writeExample } from '../../support/example-config.js'

let example: ExampleFolder
beforeEach(() => {
  example = writeExample()
})
afterEach(() => example.remove())

const run = (...args: string[]) => runHallpass([...args, '--config', example.file], { environment: exampleEnv })
const policies = () => join(example.folder, 'policies')

test('a candidate that is not there, or does not validate', async () => {
  const missing = await run('policy', 'simulate', '--candidate', join(example.folder, 'nowhere'), '--recorded')
  expect(missing).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('nowhere') })
  writeFileSync(join(policies(), 'broken.cedar'), 'permit (')
  const broken = await run('policy', 'simulate', '--candidate', policies(), '--recorded')
  expect(broken).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('broken.cedar:1') })
})

test('an audit folder that is not there: neither a change nor a difference', async () => {
  const nowhere = join(example.folder, 'nowhere')
  const simulated = await run('policy', 'simulate', '--candidate', policies(), '--recorded', nowhere)
  expect(simulated).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`${nowhere}: cannot be read`) })
  const replayed = await run('audit', 'replay', nowhere)
  expect(replayed).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(`${nowhere}: cannot be read`) })
})
