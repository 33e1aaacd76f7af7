// HALLPASS_REDIS_FORM=one|sentinels|cluster: the tests' Redis is of that form, and they are the user that the README gives.
// `npm run forms` runs the ledger's, the queue's and the crash tests so on each.
import type { Redis } from 'ioredis'
import { calm, type RedisForm, startCluster, startPlain, startSentinels } from './redis-forms.js'
import { asRedisUser } from './redis-user.js'

export interface FormForTests {
  readonly url: string | readonly string[]
  readonly prefix: string
  readonly commandTimeoutMs?: number
  /** The server that holds the ledger, for somebody who may everything: to look behind the ledger's back. */
  readonly lookAt: string
  stop(): Promise<void>
}

const forms: Readonly<Record<string, () => Promise<RedisForm>>> = {
  one: startPlain,
  sentinels: () => startSentinels(calm),
  cluster: () => startCluster(calm),
}

/** Null where no form is asked for. Throws when one is refused something: the user is too small. */
export async function startFormForTests(prefix?: string): Promise<FormForTests | null> {
  const wanted = process.env.HALLPASS_REDIS_FORM
  if (!wanted) return null
  const start = forms[wanted]
  if (start === undefined) throw new Error(`HALLPASS_REDIS_FORM is one of ${Object.keys(forms).join(', ')}`)
  const started = await start()
  const { form, admins } = await asRedisUser(prefix === undefined ? started : { ...started, prefix })
  const holder = wanted === 'cluster' ? await holderOf(form.prefix, admins) : form.nodes[0]?.port
  return {
    url: form.url,
    prefix: form.prefix,
    ...(form.commandTimeoutMs === undefined ? {} : { commandTimeoutMs: form.commandTimeoutMs }),
    lookAt: `redis://admin:admin@127.0.0.1:${holder}`,
    async stop() {
      const refused = (await Promise.all(admins.map((admin) => admin.call('ACL', 'LOG')))).flat()
      for (const admin of admins) admin.disconnect()
      await form.stop()
      if (refused.length > 0) throw new Error(`refused to the Redis user: ${JSON.stringify(refused)}`)
    },
  }
}

/** The port of the primary that has the ledger's slot. */
async function holderOf(prefix: string, [admin]: readonly Redis[]): Promise<number | undefined> {
  const slot = Number(await admin?.call('CLUSTER', 'KEYSLOT', `{${prefix}}:`))
  const ranges = (await admin?.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
  return ranges.find(([from, to]) => from <= slot && slot <= to)?.[2][1]
}
