// Which Redis is refused, and which is complained of.
import { createServer } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { examineRedis } from '../../../src/ledger/fitness.js'
import { startOwnRedis } from '../../support/redis.js'
import { startReplicatedRedis } from '../../support/replicated-redis.js'

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function aRedis(...settings: string[]): Promise<Redis> {
  const server = await startOwnRedis(settings)
  undo.push(() => server.stop())
  const redis = new Redis(server.url)
  undo.push(() => redis.disconnect())
  return redis
}

const redisTime = async (redis: Redis) => Number((await redis.time())[0]) * 1000

test('one that never evicts, keeps an append-only file and is in time is fit', async () => {
  const redis = await aRedis()
  const time = await redisTime(redis)
  expect(await examineRedis(redis, () => time)).toMatchObject({ refusals: [], warnings: [] })
})

test('one that evicts is refused, one that keeps nothing is complained of', async () => {
  const redis = await aRedis('--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no')
  const time = await redisTime(redis)
  const { refusals, warnings } = await examineRedis(redis, () => time)
  expect(refusals).toEqual([expect.stringContaining('maxmemory-policy is allkeys-lru')])
  expect(warnings).toEqual([expect.stringContaining('appendonly is off')])
})

test('one with a replica is complained of unless it stops without one, and where it cannot be waited for', async () => {
  const servers = await startReplicatedRedis()
  undo.push(() => servers.stop())
  const { primary } = servers.at
  // A replica takes its time: the clock is looked at anew each time.
  const warnings = async (redis: Redis) => {
    const time = await redisTime(primary)
    return (await examineRedis(redis, () => time, servers.prefix)).warnings
  }
  expect(await warnings(primary)).toEqual([])
  await servers.attach()
  expect(await warnings(primary)).toEqual([expect.stringContaining('set min-replicas-to-write 1')])
  await primary.config('SET', 'min-replicas-to-write', '1')
  expect(await warnings(primary)).toEqual([])
  await primary.call('ACL', 'SETUSER', 'narrow', 'on', '>pw', '~*', '+@all', '-wait')
  const narrow = primary.duplicate({ username: 'narrow', password: 'pw' })
  undo.push(() => narrow.disconnect())
  expect(await warnings(narrow)).toEqual([expect.stringContaining('add +wait to its ACL')])
})

test('one whose clock is off by more than 5 s is complained of', async () => {
  const redis = await aRedis()
  const time = await redisTime(redis)
  // The time that passes between the two readings makes it a little less.
  expect((await examineRedis(redis, () => time + 60_000)).warnings).toEqual([expect.stringMatching(/ (5\d|60) s off/)])
})

test('one that is too old is refused', async () => {
  const info = 'redis_version:6.0.16\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nloading:0\r\n'
  const seconds = '1700000000'
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (asked) => {
      for (const command of asked
        .toString()
        .toLowerCase()
        .split(/^\*\d+\r\n/m)
        .slice(1)) {
        const name = command.split('\r\n')[1]
        if (name === 'info') socket.write(`$${info.length}\r\n${info}\r\n`)
        else if (name === 'time') socket.write(`*2\r\n$10\r\n${seconds}\r\n$1\r\n0\r\n`)
        else if (name === 'eval') socket.write('$0\r\n\r\n')
        else socket.write(name === 'hello' ? '%1\r\n$5\r\nproto\r\n:3\r\n' : '+OK\r\n')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  undo.push(() => server.close())
  const { port } = server.address() as { port: number }
  const redis = new Redis(port, '127.0.0.1')
  undo.push(() => redis.disconnect())
  const { refusals, version } = await examineRedis(redis, () => Number(seconds) * 1000)
  expect([version, refusals]).toEqual(['6.0.16', ['version 6.0.16 is too old; expected 6.2 or later']])
})
