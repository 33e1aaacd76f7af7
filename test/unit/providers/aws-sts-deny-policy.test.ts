import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createId } from '../../../src/core/ids.js'
import {
  type Denial,
  denialCapacity,
  mergeDenials,
  parseDenyPolicy,
} from '../../../src/providers/aws-sts-deny-policy.js'
import { ProviderError } from '../../../src/providers/provider.js'

const now = Date.UTC(2026, 0, 1, 12, 0, 0)
const empty = parseDenyPolicy(null)
const room = 10_240

const denial = (untilMs: number, forced = false): Denial => ({
  session: createId('lease', now),
  until: now + untilMs,
  forced,
})
const denials = (count: number, spreadMs: number, forced = false): Denial[] =>
  Array.from({ length: count }, (_, n) => denial(60_000 + Math.floor((spreadMs * n) / count), forced))

describe('merging', () => {
  test('adds to what stands, and reads its own text back', () => {
    const [first, second] = [denial(600_000), denial(1_200_000)]
    const once = mergeDenials(empty, [first], now, room)
    const twice = mergeDenials(parseDenyPolicy(once.text), [second], now, room)
    const { ends, foreign } = parseDenyPolicy(twice.text)
    expect([...ends.keys()].sort()).toEqual([first.session, second.session].sort())
    expect(foreign).toEqual([])
    for (const { session, until } of [first, second]) expect(ends.get(session)).toBeGreaterThanOrEqual(until)
  })

  test('whatever is merged in whatever order, no unexpired entry is lost and none ends early', () => {
    const batch = fc.array(fc.record({ minutes: fc.integer({ min: 2, max: 720 }), forced: fc.boolean() }), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 6 }), (batches) => {
        let text: string | null = null
        const all: Denial[] = []
        for (const items of batches) {
          const additions = items.map(({ minutes, forced }) => denial(minutes * 60_000, forced))
          const merged = mergeDenials(parseDenyPolicy(text), additions, now, room)
          expect(merged.refused).toEqual([])
          all.push(...additions)
          text = merged.text
        }
        const { ends } = parseDenyPolicy(text)
        for (const { session, until } of all) expect(ends.get(session) ?? 0).toBeGreaterThanOrEqual(until)
      }),
      { numRuns: 50 },
    )
  })

  test('moves an end back and never forward', () => {
    const long = denial(1_200_000)
    const endAfter = (first: number, second: number) => {
      const once = mergeDenials(empty, [{ ...long, until: now + first }], now, room)
      const { text } = mergeDenials(parseDenyPolicy(once.text), [{ ...long, until: now + second }], now, room)
      return (parseDenyPolicy(text).ends.get(long.session) ?? 0) - now
    }
    expect(endAfter(1_200_000, 600_000)).toBeGreaterThanOrEqual(1_200_000)
    expect(endAfter(600_000, 1_200_000)).toBeGreaterThanOrEqual(1_200_000)
    expect(endAfter(600_000, 1_200_000)).toBeLessThan(1_300_000)
  })

  test('moves an end back and never forward, also where not all have room', () => {
    const [kept, moved] = [denial(1_200_000), denial(600_000)]
    const { text } = mergeDenials(empty, [kept, moved], now, room)
    const shorter = { ...kept, until: now + 600_000 }
    const longer = { ...moved, until: now + 1_200_000 }
    const many = denials(denialCapacity(room) + 200, 3_600_000)
    const merged = mergeDenials(parseDenyPolicy(text), [shorter, longer, ...many], now, room)
    expect(merged.refused.length).toBeGreaterThan(0)
    const { ends } = parseDenyPolicy(merged.text)
    for (const { session } of [kept, moved]) expect((ends.get(session) ?? 0) - now).toBeGreaterThanOrEqual(1_200_000)
  })

  test('leaves what stands as it is where its later end has no room', () => {
    const full = mergeDenials(
      empty,
      Array.from({ length: 600 }, () => denial(600_000, true)),
      now,
      room,
    )
    expect(full.refused.length).toBeGreaterThan(0)
    const standing = parseDenyPolicy(full.text)
    // Each a day apart: no two of them fit into one statement.
    const later = [...standing.ends.keys()]
      .slice(0, 60)
      .map((session, n) => ({ session, until: now + (n + 2) * 86_400_000, forced: false }))
    const merged = mergeDenials(standing, later, now, room)
    expect(merged.refused).toEqual([])
    const { ends } = parseDenyPolicy(merged.text)
    const stayed = [...standing.ends].filter(([session, end]) => ends.get(session) === end)
    const moved = [...standing.ends].filter(([session, end]) => (ends.get(session) ?? 0) > end)
    expect(stayed.length + moved.length).toBe(standing.ends.size)
    expect(stayed.length).toBeGreaterThan(standing.ends.size - later.length)
  })

  test.each<[string, (statement: Record<string, unknown>) => unknown]>([
    ['allows', (one) => ({ ...one, Effect: 'Allow' })],
    ['denies less', (one) => ({ ...one, Action: 's3:*' })],
    ['has one member more', (one) => ({ ...one, NotPrincipal: '*' })],
    ['has a Sid of its own', (one) => ({ ...one, Sid: 'mine' })],
    ['names a role too', (one) => ({ ...one, Condition: { StringLike: { 'aws:userid': ['AROA:a', 'AROA:b'] } } })],
    ['names one of two', (one) => ({ ...one, Condition: { StringLike: { 'aws:userid': ['*:a'] } } })],
    ['names one as a number', (one) => ({ ...one, Condition: { StringLike: { 'aws:userid': ['*:a', 7] } } })],
    ['names no list', (one) => ({ ...one, Condition: { StringLike: { 'aws:userid': '*:a' } } })],
  ])('takes no statement for its own that %s', (_, change) => {
    const { text } = mergeDenials(empty, [denial(600_000), denial(600_000)], now, room)
    const document = JSON.parse(text) as { Statement: Record<string, unknown>[] }
    expect(parseDenyPolicy(text)).toMatchObject({ ends: { size: 2 }, foreign: [] })
    for (const one of document.Statement) expect(one).toMatchObject({ Effect: 'Deny', Action: '*', Resource: '*' })
    const changed = document.Statement.map((one) => (String(one.Sid).startsWith('hpUntil') ? change(one) : one))
    const read = parseDenyPolicy(JSON.stringify({ ...document, Statement: changed }))
    expect(read.ends.size).toBe(0)
    expect(read.foreign).toEqual(changed.filter((one, n) => one !== document.Statement[n]))
  })

  test('drops what has ended, not before its end and at most seventy seconds after it', () => {
    const [short, long] = [denial(60_000), denial(3_600_000)]
    const { text } = mergeDenials(empty, [short, long], now, room)
    const soonAfter = mergeDenials(parseDenyPolicy(text), [], now + 65_000, room)
    expect(soonAfter.text).toContain(short.session)
    const later = mergeDenials(parseDenyPolicy(text), [], now + 121_000, room)
    expect(later.text).not.toContain(short.session)
    expect(later.text).toContain(long.session)
  })

  test('keeps what is not its own, also under a Sid of its own form', () => {
    const added = denial(600_000)
    const { text } = mergeDenials(empty, [added], now, room)
    const sid = /hpUntil\w+Z/.exec(text)?.[0]
    const theirs = [
      { Sid: 'BreakGlass', Effect: 'Deny', Action: 's3:Delete*', Resource: '*' },
      { Sid: sid, Effect: 'Deny', Action: 'iam:*', Resource: '*' },
    ]
    const found = JSON.stringify({ Version: '2012-10-17', Id: 'operators', Statement: theirs })
    const merged = mergeDenials(parseDenyPolicy(found), [added], now, room)
    const document = JSON.parse(merged.text)
    expect(document.Id).toBe('operators')
    expect(document.Statement).toEqual(expect.arrayContaining(theirs))
    const sids = document.Statement.map((statement: { Sid: string }) => statement.Sid)
    expect(new Set(sids).size).toBe(sids.length)
    expect(parseDenyPolicy(merged.text).ends.has(added.session)).toBe(true)
  })

  test('reads a document in another order of members, or percent-encoded as IAM answers it', () => {
    const added = denial(600_000)
    const { text } = mergeDenials(empty, [added], now, room)
    const { Version, Statement } = JSON.parse(text)
    const [{ Condition, ...rest }] = Statement
    const reordered = JSON.stringify({ Statement: [{ Condition, ...rest }], Version }, null, 2)
    expect(parseDenyPolicy(reordered).ends.has(added.session)).toBe(true)
    expect(parseDenyPolicy(encodeURIComponent(text)).ends.has(added.session)).toBe(true)
  })

  test.each(['', 'nonsense', '%', '[]', '{}', '{"Statement":"x"}', 'null'])(
    'leaves %j alone: it is no policy',
    (text) => {
      expect(() => parseDenyPolicy(text)).toThrow(ProviderError)
    },
  )

  test('has a statement, denying nobody, even when empty: IAM takes no policy without', () => {
    const { text } = mergeDenials(empty, [], now, room)
    expect(JSON.parse(text).Statement).toHaveLength(1)
    const filled = mergeDenials(parseDenyPolicy(text), [denial(60_000)], now, room)
    expect(filled.text).not.toContain('hpReady')
  })
})

describe('room', () => {
  test('as many as are promised fit, however their ends are spread', () => {
    for (const spreadMs of [0, 3_600_000, 43_200_000]) {
      for (const available of [10_240, 8_192, 3_000]) {
        const capacity = denialCapacity(available)
        const { text, refused } = mergeDenials(empty, denials(capacity, spreadMs), now, available)
        expect(refused).toEqual([])
        expect(text.length).toBeLessThanOrEqual(available * 0.9)
      }
    }
  })

  test('the promise is not timid, and nothing is promised where there is no room', () => {
    expect(denialCapacity(8_192)).toBeGreaterThan(150)
    expect(denialCapacity(100)).toBe(0)
  })

  test('room comes back within seventy seconds of each end, as it is counted with the leases', () => {
    const capacity = denialCapacity(8_192)
    const full = mergeDenials(empty, denials(capacity, 0), now, 8_192).text
    const next = denials(capacity, 0)
    expect(mergeDenials(parseDenyPolicy(full), next, now + 60_000 + 70_000, 8_192).refused).toEqual([])
  })

  test('no two statements share a Sid, however alike their ends are', () => {
    const { text } = mergeDenials(empty, denials(100, 0), now, room)
    const sids = JSON.parse(text).Statement.map((statement: { Sid: string }) => statement.Sid)
    expect(sids).toHaveLength(5)
    expect(new Set(sids).size).toBe(5)
    for (const sid of sids) expect(sid).toMatch(/^[A-Za-z0-9]+$/)
  })

  test('the order in which sessions are listed does not move their ends', () => {
    const all = denials(15, 3_600_000)
    const document = JSON.parse(mergeDenials(empty, all, now, room).text)
    document.Statement[0].Condition.StringLike['aws:userid'].reverse()
    const { ends } = parseDenyPolicy(JSON.stringify(document))
    for (const { session, until } of all) {
      expect(ends.get(session) ?? 0).toBeGreaterThanOrEqual(until)
      expect(ends.get(session) ?? 0).toBeLessThanOrEqual(until + 70_000)
    }
  })

  test('what does not fit is refused by name, and the rest stands', () => {
    const { text, refused } = mergeDenials(empty, denials(400, 3_000_000), now, 8_192)
    expect(refused.length).toBeGreaterThan(100)
    expect(text.length).toBeLessThanOrEqual(8_192 * 0.9)
    expect(parseDenyPolicy(text).ends.size).toBe(400 - refused.length)
  })

  test('an operator finds room where ordinary ends find none', () => {
    const full = mergeDenials(empty, denials(400, 3_000_000), now, 8_192).text
    const [ordinary, forced] = [denial(600_000), denial(600_000, true)]
    const { refused } = mergeDenials(parseDenyPolicy(full), [ordinary, forced], now, 8_192)
    expect(refused).toEqual([ordinary.session])
  })

  test('ending again what stands already needs no room', () => {
    const all = denials(400, 3_000_000)
    const { text, refused } = mergeDenials(empty, all, now, 8_192)
    const standing = all.filter(({ session }) => !refused.includes(session))
    expect(mergeDenials(parseDenyPolicy(text), standing, now, 8_192).refused).toEqual([])
  })
})
