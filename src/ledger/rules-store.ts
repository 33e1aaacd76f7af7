// The change of rules as it stands in Redis: one hash `rules`. What each script means: rules-change.ts.
import { randomUUID } from 'node:crypto'
import type { Connection } from './connection.js'
import { type Fields, fieldsOf, holderLookOf, listOf } from './replies.js'
import type { ChangeState, HolderCounts, RedecisionTurn, RulesChange, RulesStore } from './rules-change.js'
import type { Reply, RunScript } from './scripts.js'
import type { Holder } from './task.js'
import { orUnavailable } from './unavailable.js'
import type { HolderLook } from './way-out.js'

/** As many at a time: a longer script would hold up everybody else's calls. */
const holdersAtOnce = 25

function changeOf(fields: Fields, now: number): RulesChange | null {
  const { current, state, adopted } = fields
  if (current === undefined) return null
  return {
    hash: current,
    state: state as ChangeState,
    applied: fields.applied ?? null,
    held: Number(fields.held ?? 0) > now,
    live: Number(fields.live ?? 0),
    doomed: Number(fields.doomed ?? 0),
    ended: Number(fields.ended ?? 0),
    endedLately: sumOf(fields.lately),
    releasedBy: fields.released === undefined ? null : (fields.actor ?? null),
    adoptedAt: Number(adopted),
  }
}

/** `at:count,at:count` */
const sumOf = (lately: string | undefined) =>
  [...(lately ?? '').matchAll(/:(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0)

export function createRulesStore(redis: Connection, tag: string, run: RunScript): RulesStore<HolderLook> {
  return {
    async adoptRules(program, hash) {
      const [role, now, fields] = (await run('adopt-rules', program, hash)) as ['current' | 'other', number, Reply]
      const change = changeOf(fieldsOf(fields), now)
      if (change === null) throw new Error('the ledger holds no rules right after they were adopted')
      return { role, change }
    },
    async findRulesChange() {
      return changeOf(await orUnavailable(redis.hgetall(`${tag}rules`)), Number.POSITIVE_INFINITY)
    },
    async beginRedecision(hash) {
      const token = randomUUID()
      const answer = (await run('begin-redecision', hash, token)) as (string | number)[]
      const [outcome, begunAt, since, applied, ended, released, requires, lately] = answer
      if (outcome !== 'ok') return null
      return {
        hash,
        token,
        begunAt: Number(begunAt),
        since: Number(since),
        applied: applied === '' ? null : String(applied),
        ended: Number(ended),
        endedLately: sumOf(String(lately)),
        released: released === 1,
        requires: requires === '' ? null : String(requires),
      }
    },
    keepRedecision: async ({ hash, token }: RedecisionTurn) => (await run('keep-redecision', hash, token)) === 1,
    endRedecision: async ({ hash, token }, outcome, { live, doomed }, requires) =>
      (await run('end-redecision', hash, token, outcome, live, doomed, requires)) === 1,
    releaseRedecision: async (hash: string, actor: string) => (await run('release-redecision', hash, actor)) === 1,
    async lookCounted(holders: readonly Holder[]) {
      const looks: (HolderLook & HolderCounts)[] = []
      let now = 0
      for (let i = 0; i < holders.length; i += holdersAtOnce) {
        const page = holders.slice(i, i + holdersAtOnce).map((holder) => [holder.id, holder.kind, holder.windowMs])
        const [at, replies] = (await run('look-holders', JSON.stringify(page))) as [number, Reply[]]
        now = at
        looks.push(...replies.map((reply) => countedLookOf(reply, at)))
      }
      return { now, holders: looks }
    },
  }
}

function countedLookOf(reply: Reply, now: number): HolderLook & HolderCounts {
  const fields = fieldsOf(listOf(String((reply as Reply[])[2])))
  const counts = (prefix: string) =>
    Object.fromEntries(
      Object.entries(fields).flatMap(([name, count]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), Number(count)]] : [],
      ),
    )
  return { ...holderLookOf(reply, now), heldCounts: counts('h:'), grantedCounts: counts('g:') }
}
