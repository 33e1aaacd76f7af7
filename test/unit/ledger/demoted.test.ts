// A primary that was demoted keeps its connections: whoever has one leaves it for the server that its address names now.
import { expect, test } from '@jest/globals'
import { connectFailFast, connectPatient, isDemoted, untilReady } from '../../../src/ledger/connection.js'
import { eventually } from '../../support/redis-forms.js'
import { startReplicatedRedis } from '../../support/replicated-redis.js'

test.each([
  ["READONLY You can't write against a read only replica.", true],
  ["READONLY You can't write against a read only replica. script: 0f, on @user_script:3.", true],
  // Redis 6.2 wraps what a script's call is answered.
  [
    "ERR Error running script (call to f_0f): @user_script:3: -READONLY You can't write against a read only replica.",
    true,
  ],
  ['NOREPLICAS Not enough good replicas to write.', false],
  ['ERR no such key READONLYISH', false],
])('%s: %s', (text, expected) => {
  expect(isDemoted(new Error(text))).toBe(expected)
})

test.each([
  ['of commands', connectFailFast],
  ['of a worker', connectPatient],
] as const)('a connection %s goes on with the one that was promoted', async (_name, connect) => {
  const servers = await startReplicatedRedis()
  const connection = connect(servers, () => undefined)
  try {
    expect(await untilReady(connection, 30_000)).toBe(true)
    await connection.set('a', 1)
    await servers.attach()
    await servers.promote(false)
    await servers.demote()
    await expect(connection.eval("return redis.call('SET', KEYS[1], 2)", 1, 'a')).rejects.toThrow('READONLY')
    await eventually(async () => (await connection.set('a', 3)) === 'OK')
    expect(await servers.at.replica.get('a')).toBe('3')
  } finally {
    connection.disconnect()
    await servers.stop()
  }
})
