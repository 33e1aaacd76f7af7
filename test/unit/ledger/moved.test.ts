// Another server answers on a connection that never broke, behind a proxy or in a cluster: the beat sees it by its run id.
import { expect, test } from '@jest/globals'
import { connectFailFast, untilReady } from '../../../src/ledger/connection.js'
import { openContinuity } from '../../../src/ledger/continuity.js'
import { ask } from '../../support/redis-forms.js'
import { portOf, startReplicatedRedis } from '../../support/replicated-redis.js'
import { startSwappingProxy } from '../../support/swapping-proxy.js'

test('nothing is issued on it before everybody who was there lately has said what it wrote', async () => {
  const servers = await startReplicatedRedis()
  await servers.attach()
  const proxy = await startSwappingProxy(portOf(servers.primary.url))
  const commands = connectFailFast(
    { url: proxy.url, prefix: servers.prefix, commandTimeoutMs: 20_000 },
    () => undefined,
  )
  try {
    await untilReady(commands, 30_000)
    let sequence = 3
    const told = { redis: commands, prefix: servers.prefix, known: null, sequence: () => sequence }
    const open = (instance: string) => openContinuity({ ...told, instance, monotonic: () => performance.now() })
    const [one, other] = [await open('one'), await open('other')]
    await other.beat()
    await one.beat()
    expect(one.doubt).toBeNull()
    // The replica has all of that, and the other's next beat never reaches it.
    expect(await ask(portOf(servers.primary.url), (raw) => raw.wait(1, 5000))).toBe(1)
    await servers.promote(false)
    let ready = 0
    commands.on('ready', () => ready++)
    proxy.swapTo(portOf(servers.replicaUrl))
    // What was recorded since the last beat may be missing there.
    sequence = 5
    expect(await one.beat()).toMatchObject({ outcome: 'behind', wal: 3, wentBack: false })
    expect(await one.beat(true)).toEqual({ outcome: 'ok' })
    expect(one.doubt).toContain('waiting to hear from other')
    await other.beat()
    await other.beat(true)
    await one.beat()
    expect([one.doubt, ready]).toEqual([null, 0])
  } finally {
    commands.disconnect()
    await proxy.close()
    await servers.stop()
  }
})
