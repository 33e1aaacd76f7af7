// The Redis user that the README gives: the stories run as it, it may do nothing else, and nothing it may do is unused.
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { calm, eventually, type RedisForm, startCluster, startPlain } from '../../support/redis-forms.js'
import { asRedisUser, redisUser } from '../../support/redis-user.js'
import {
  representativeStories,
  untilBought,
  withWatchedWorkers,
  withWorkers,
} from '../../support/representative-stories.js'

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')
const commands = [...redisUser.matchAll(/\+([a-z|]+)/g)].map((match) => match[1] ?? '')
/** Of a cluster's connections, and `hallpass doctor`'s. */
const elsewhere = ['cluster|slots', 'cluster|info', 'readonly', 'ping']

async function usedAt(admin: Redis): Promise<string[]> {
  const text = String(await admin.call('INFO', 'commandstats'))
  return [...text.matchAll(/cmdstat_([a-z|]+):/g)].map((match) => match[1] ?? '')
}

/** What the ledger's files of a folder send, by their text. */
function commandsIn(below: string, pattern: RegExp): string[] {
  const folder = new URL(`../../../src/ledger/${below}`, import.meta.url)
  const files = readdirSync(folder).filter((name) => /\.(ts|lua)$/.test(name))
  const found = files.flatMap((name) => [...readFileSync(new URL(name, folder), 'utf8').matchAll(pattern)])
  return found.map((match) => String(match[1]).toLowerCase()).filter((name) => !ofTheClient.includes(name))
}
/** Methods of a connection that are no commands. */
const ofTheClient = ['call', 'disconnect', 'off', 'on', 'once']

const refusals = async (admins: readonly Redis[]) =>
  (await Promise.all(admins.map((admin) => admin.call('ACL', 'LOG')))).flat()

describe('the Redis user', () => {
  test('is the one in the README', () => {
    const shown = /user hallpass on #<[^>]*> ([^`]*)```/.exec(read('README.md'))?.[1]?.split(/\s+/).filter(Boolean)
    expect(shown).toEqual(redisUser.split(' ').slice(4))
  })

  test('is enough for the stories, with nothing to spare', async () => {
    const { form, admins } = await asRedisUser(await startPlain())
    try {
      await withWorkers(form, representativeStories, async () => {
        expect(await refusals(admins)).toEqual([])
        const used = await usedAt(admins[0] as Redis)
        // What a script does only in a case that these stories do not have is in its text all the same.
        const sent = [...commandsIn('lua/', /redis\.call\('([A-Z]+)'/g), ...commandsIn('', /\bredis\.([a-z]+)\(/g)]
        const wanted = new Set([...used, ...sent, ...elsewhere])
        expect(commands.filter((name) => !wanted.has(name))).toEqual([])
        expect(sent.filter((name) => !commands.includes(name))).toEqual([])
      })
    } finally {
      for (const admin of admins) admin.disconnect()
    }
  }, 240_000)

  test('is enough for a cluster', async () => {
    const { form, admins } = await asRedisUser(await startCluster(calm))
    try {
      await withWorkers(form, representativeStories, async () => expect(await refusals(admins)).toEqual([]))
    } finally {
      for (const admin of admins) admin.disconnect()
    }
  }, 240_000)

  test('is enough where replicas are asked', async () => {
    const { form, admins } = await asRedisUser(await startCluster(calm))
    try {
      await withWatchedWorkers(form, async (story) => {
        await eventually(async () => story.broker.continuity?.server.replicas === 1)
        await untilBought(story, 2)
        expect(await refusals(admins)).toEqual([])
        const used = (await Promise.all(admins.map(usedAt))).flat()
        expect(used).toContain('wait')
      })
    } finally {
      for (const admin of admins) admin.disconnect()
    }
  }, 240_000)

  test.each([
    ['FLUSHALL'],
    ['FLUSHDB'],
    ['KEYS', '*'],
    ['SCAN', '0'],
    ['CONFIG', 'GET', '*'],
    ['ACL', 'LIST'],
    ['SHUTDOWN'],
    ['SCRIPT', 'FLUSH'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['CLIENT', 'LIST'],
    ['GET', 'elsewhere'],
    ['SET', '{other}:l:1', 'x'],
    ['EVAL', "return redis.call('GET', 'elsewhere')", '0'],
    ['SUBSCRIBE', 'elsewhere'],
    ['PUBLISH', 'elsewhere', 'x'],
  ])('may not %s %s', async (...command) => {
    const user = new Redis(String((await shared()).url), { maxRetriesPerRequest: 1 })
    try {
      const [name = '', ...args] = command
      await expect(user.call(name, ...args.filter((one) => one !== undefined))).rejects.toThrow(
        /NOPERM|The user executing the script can't access/,
      )
    } finally {
      user.disconnect()
    }
  })
})

let one: Promise<RedisForm> | null = null
function shared(): Promise<RedisForm> {
  one ??= startPlain().then(async (form) => {
    const made = await asRedisUser(form)
    for (const admin of made.admins) admin.disconnect()
    return made.form
  })
  return one
}
afterAll(async () => {
  await (await one)?.stop()
})
