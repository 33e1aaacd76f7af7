// The Redis user that the README gives, made at every server of a form: what connects with the form's URL then is that user.
import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import type { RedisForm } from './redis-forms.js'

/** Its line as it is shipped. */
export const redisUser = lineOf(readFileSync(new URL('../../config/compose/redis/users.acl', import.meta.url), 'utf8'))

function lineOf(file: string): string {
  const line = file.split('\n').find((one) => one.startsWith('user hallpass '))
  if (!line) throw new Error('no user hallpass')
  return line
}

/** The user for another prefix, with a password that the test knows. */
const rulesFor = (prefix: string) =>
  redisUser.replace('#@DIGEST@', '>secret').replaceAll('{hallpass', `{${prefix}`).split(' ').slice(2)
const asUser = (url: string) => url.replace('://', '://hallpass:secret@')

/** What is left to whoever connects without a name: replication, and what a sentinel asks and orders. */
const others = ['+psync', '+replconf', '+ping']
const sentinelsToo = ['~*', '&*', '+info', '+subscribe', '+publish', '+client', '+config', '+replicaof', '+slaveof']
const sentinelsLast = ['+multi', '+exec', '+script', '+role']

/** The form as seen by that user alone; `admins`, one at each server that holds data, may look. */
export async function asRedisUser(form: RedisForm): Promise<{ form: RedisForm; admins: Redis[] }> {
  const behindSentinels = String(form.url).startsWith('redis+sentinel:')
  const servers = behindSentinels ? form.nodes.slice(0, 2) : form.nodes
  await Promise.all(
    servers.map(async ({ port }) => {
      const first = new Redis(port, '127.0.0.1')
      await first.call('ACL', 'SETUSER', 'admin', 'on', '>admin', '~*', '&*', '+@all')
      await first.call('ACL', 'SETUSER', 'hallpass', ...rulesFor(form.prefix))
      const left = behindSentinels ? [...others, ...sentinelsToo, ...sentinelsLast] : others
      await first.call('ACL', 'SETUSER', 'default', 'resetkeys', 'resetchannels', '-@all', ...left)
      first.disconnect()
    }),
  )
  const admins = servers.map(({ port }) => new Redis(port, '127.0.0.1', { username: 'admin', password: 'admin' }))
  await Promise.all(admins.map((admin) => admin.call('ACL', 'LOG', 'RESET')))
  const url = typeof form.url === 'string' ? asUser(form.url) : form.url.map(asUser)
  return { form: { ...form, url }, admins }
}
