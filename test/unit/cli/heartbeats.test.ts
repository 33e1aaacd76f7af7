import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { openOwnTask } from '../../../src/cli/borrowed.js'
import { startHeartbeats } from '../../../src/cli/heartbeats.js'
import { createBrokerClient, subjectTokenFrom } from '../../../src/client/index.js'
import { credentials } from '../../support/answers.js'
import { runHallpass } from '../../support/command-line.js'
import { pause, until } from '../../support/wire-checks.js'
import { startWireServer, type WireServer } from '../../support/wire-server.js'
import { workloadToken } from '../../support/wire-state.js'

let wire: WireServer
let folder: string
beforeEach(async () => {
  wire = await startWireServer()
  wire.offers.set('database.query', { credential: credentials.secret })
  folder = mkdtempSync(join(tmpdir(), 'hallpass-heartbeats-'))
})
afterEach(async () => {
  await wire.close()
  rmSync(folder, { recursive: true })
})

const query = ['--action', 'database.query', '--resource', 'database:orders']
const beats = () => wire.seen.filter(({ path }) => path.endsWith('/heartbeat'))
const openOne = () => {
  const client = createBrokerClient({ url: wire.url, tokenSource: subjectTokenFrom(() => workloadToken) })
  const request = { action: 'database.query', resource: 'database:orders' }
  return openOwnTask(client, [{ name: null, request }], { purpose: 'a test', heartbeatSeconds: 60 })
}

test('exec opens its task with a heartbeat where its token can be renewed, and without one where it runs out', async () => {
  const file = join(folder, 'token')
  writeFileSync(file, workloadToken)
  const environment = { HALLPASS_URL: wire.url, PATH: process.env.PATH ?? '' }
  await runHallpass(['exec', ...query, '--', 'true'], { environment: { ...environment, HALLPASS_TOKEN_FILE: file } })
  expect(wire.seen[0]?.body).toMatchObject({ heartbeat_seconds: 60 })
  wire.seen.length = 0
  await runHallpass(['exec', ...query, '--', 'true'], {
    environment: { ...environment, HALLPASS_TOKEN: workloadToken },
  })
  expect(wire.seen[0]?.body).not.toHaveProperty('heartbeat_seconds')
})

test('beats with the subject token, the task token beside it, until it is stopped', async () => {
  const borrowed = await openOne()
  const underWay = new Set<Promise<unknown>>()
  const beat = () => {
    const one = (borrowed.beat?.() ?? Promise.resolve()).finally(() => underWay.delete(one))
    underWay.add(one)
    return one
  }
  const heartbeats = startHeartbeats({ ...borrowed, beat }, () => undefined, 30)
  await until(beats, (seen) => seen.length >= 3, 60)
  heartbeats.stop()
  // Those that were on their way still arrive.
  await Promise.all(underWay)
  const count = beats().length
  expect(beats()[0]).toMatchObject({
    path: `/v1/tasks/${borrowed.taskId}/heartbeat`,
    headers: { authorization: `Bearer ${workloadToken}`, 'hallpass-task-token': borrowed.taskToken },
  })
  await pause(100)
  expect(beats()).toHaveLength(count)
})

test('an outage of the broker is waited out in silence; a task that has ended is told of once', async () => {
  const notes: string[] = []
  const borrowed = await openOne()
  for (let i = 0; i < 3; i++)
    wire.faults.push({ method: 'POST', path: `/v1/tasks/${borrowed.taskId}/heartbeat`, answer: 'drop' })
  const heartbeats = startHeartbeats(borrowed, (line) => notes.push(line), 20)
  await until(beats, (seen) => seen.length >= 5, 60)
  expect(notes).toEqual([])
  await borrowed.giveBack('failed', 0)
  await until(
    () => notes,
    (told) => told.length > 0,
    60,
  )
  await pause(100)
  heartbeats.stop()
  expect(notes).toHaveLength(1)
  expect(notes[0]).toContain(borrowed.taskId)
})
