// The Redis user that the README gives: the stories run as it, it may do nothing else, and nothing it may do is unused.
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import { type RedisForm, startCluster, startPlain } from '../../support/redis-forms.js'
import { representativeStories, withWorkers } from '../../support/representative-stories.js'

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')
const line = read('config/compose/redis/users.acl')
  .split('\n')
  .find((one) => one.startsWith('user hallpass '))
if (!line) throw new Error('no user hallpass')
const commands = [...line.matchAll(/\+([a-z|]+)/g)].map((match) => match[1] ?? '')
/** Of a cluster's connections, and `hallpass doctor`'s. */
const elsewhere = ['cluster|slots', 'cluster|info', 'readonly', 'ping']

/** The user for another prefix, with a password that the test knows. */
const rules = (prefix: string) => {
  const rule = line.replace('#@DIGEST@', '>secret').replaceAll('{hallpass', `{${prefix}`)
  return rule.split(' ').slice(2)
}
const asUser = (url: string) => url.replace('redis://', 'redis://hallpass:secret@')

/** The form as seen by that user alone; `admin` may look. */
async function restricted(form: RedisForm): Promise<{ form: RedisForm; admins: Redis[] }> {
  await Promise.all(
    form.nodes.map(async ({ port }) => {
      const first = new Redis(port, '127.0.0.1')
      await first.call('ACL', 'SETUSER', 'admin', 'on', '>admin', '~*', '&*', '+@all')
      await first.call('ACL', 'SETUSER', 'hallpass', ...rules(form.prefix))
      // Replication among the nodes goes on as it is; whoever connects anew as `default` may do nothing.
      await first.call(
        'ACL',
        'SETUSER',
        'default',
        'resetkeys',
        'resetchannels',
        '-@all',
        '+psync',
        '+replconf',
        '+ping',
      )
      first.disconnect()
    }),
  )
  const admins = form.nodes.map(({ port }) => new Redis(port, '127.0.0.1', { username: 'admin', password: 'admin' }))
  await Promise.all(admins.map((admin) => admin.call('ACL', 'LOG', 'RESET')))
  const url = typeof form.url === 'string' ? asUser(form.url) : form.url.map(asUser)
  return { form: { ...form, url }, admins }
}

async function usedAt(admin: Redis): Promise<string[]> {
  const text = String(await admin.call('INFO', 'commandstats'))
  return [...text.matchAll(/cmdstat_([a-z|]+):/g)].map((match) => match[1] ?? '')
}

const refusals = async (admins: readonly Redis[]) =>
  (await Promise.all(admins.map((admin) => admin.call('ACL', 'LOG')))).flat()

describe('the Redis user', () => {
  test('is enough for the stories, with nothing to spare', async () => {
    const { form, admins } = await restricted(await startPlain())
    try {
      await withWorkers(form, representativeStories, async () => {
        expect(await refusals(admins)).toEqual([])
        const used = await usedAt(admins[0] as Redis)
        // What a script does only in a case that these stories do not have is in its text all the same.
        const folder = new URL('../../../src/ledger/lua/', import.meta.url)
        const texts = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'))
        const inScripts = texts.flatMap((text) =>
          [...text.matchAll(/redis\.call\('([A-Z]+)'/g)].map((match) => match[1]),
        )
        const wanted = new Set([...used, ...inScripts.map((name) => String(name).toLowerCase()), ...elsewhere])
        expect(commands.filter((name) => !wanted.has(name))).toEqual([])
        const missing = inScripts.map((name) => String(name).toLowerCase()).filter((name) => !commands.includes(name))
        expect(missing).toEqual([])
      })
    } finally {
      for (const admin of admins) admin.disconnect()
    }
  }, 60_000)

  test('is enough for a cluster', async () => {
    const { form, admins } = await restricted(await startCluster())
    try {
      await withWorkers(form, representativeStories, async () => expect(await refusals(admins)).toEqual([]))
    } finally {
      for (const admin of admins) admin.disconnect()
    }
  }, 90_000)

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
    const made = await restricted(form)
    for (const admin of made.admins) admin.disconnect()
    return made.form
  })
  return one
}
afterAll(async () => {
  await (await one)?.stop()
})
