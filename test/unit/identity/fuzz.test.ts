// Bytes of a bounded time, by a printed seed, as an Authorization header: answered 401 or accepted, never an accident (which
// would be a 500), at a small cost, with nothing left in memory. HALLPASS_FUZZ_SEED makes a run's choices again,
// HALLPASS_FUZZ_SECONDS makes it longer.
import { randomInt } from 'node:crypto'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type OidcIssuer, startOidcIssuer } from '../../../scripts/servers/stand-ins/oidc-issuer.js'
import type { Parts } from '../../../src/broker/parts.js'
import { BrokerError } from '../../../src/core/errors.js'
import { type Authenticator, authenticate } from '../../../src/http/authenticate.js'
import type { Access } from '../../../src/http/route.js'
import { type FileKeyset, openFileKeyset } from '../../../src/signing/file-keyset.js'
import { createMissingKeys } from '../../../src/signing/key-rotation.js'
import { attacks, buildAttack } from '../../support/attack-tokens.js'
import { createKeyGround, type KeyGround } from '../signing/key-ground.js'
import { createManualClock, createPool, fixtureTime, ourIssuer } from './identity-fixtures.js'

const seed = Number(process.env.HALLPASS_FUZZ_SEED ?? randomInt(1_000_000))
const seconds = Number(process.env.HALLPASS_FUZZ_SECONDS ?? 10)

const clock = createManualClock()
let server: OidcIssuer
let ground: KeyGround
let keyset: FileKeyset
beforeAll(async () => {
  server = await startOidcIssuer({ clock })
  ground = await createKeyGround()
  await createMissingKeys(ground.directory, clock)
  keyset = await openFileKeyset({ directory: ground.directory })
})
afterAll(async () => {
  keyset.close()
  await Promise.all([server.stop(), ground.remove()])
})

test(`any bytes at all in the Authorization header, for ${seconds} s (seed ${seed})`, async () => {
  const random = createRandom(seed)
  const corpus = await corpusOf()
  const pool = createPool({ ci: { type: 'oidc', issuer: server.issuer } }, { clock })
  const on: Authenticator = {
    parts: { keyset, issuer: ourIssuer, clock } as unknown as Parts,
    issuers: () => pool,
    dpop: { baseUrl: ourIssuer, maxAgeSeconds: 60, nonces: null },
    proxy: null,
  }
  const counted = { accepted: 0, refused: 0 }
  const details = new Set<string>()
  const present = async (header: string, access: Access) => {
    try {
      await authenticate(on, requestWith(header), access, 'req_fuzz')
      counted.accepted += 1
    } catch (error) {
      // Whatever else is thrown would be a 500; the text is what makes it again.
      if (!(error instanceof BrokerError) || error.code !== 'invalid_token')
        throw new Error(`seed ${seed}: ${JSON.stringify(header.slice(0, 3000))}: ${error}`, { cause: error })
      counted.refused += 1
      details.add(error.detail.replaceAll(/".*"|\d+/g, ''))
    }
  }
  /** So long, and longer where a busy machine does not come to `atLeast` refusals in it; microseconds of CPU for each. */
  const run = async (forMs: number, atLeast: number): Promise<number> => {
    const [cpu, from] = [process.cpuUsage(), counted.refused]
    for (const end = performance.now() + forMs; performance.now() < end || counted.refused - from < atLeast; ) {
      await present(mutated(random, corpus), random(2) === 0 ? 'owner' : 'workload')
    }
    const { user, system } = process.cpuUsage(cpu)
    return (user + system) / (counted.refused - from)
  }
  // What is compiled and cached once is not growth.
  await run(seconds * 250, 100)
  const before = { heap: heapAfterGc(), refused: counted.refused }
  // Of five parts the cheapest: others on the machine make some of them dearer, what is dear is dear in each.
  const costs: number[] = []
  for (let part = 0; part < 5; part++) costs.push(await run(seconds * 150, 100))
  const microseconds = Math.min(...costs)
  const grown = heapAfterGc() - before.heap
  const tries = counted.refused - before.refused
  process.stderr.write(
    `fuzz: seed ${seed}, ${counted.refused} refused with ${details.size} kinds of detail, ${counted.accepted} accepted, ` +
      `${microseconds.toFixed(0)} µs of CPU each at best, heap ${(grown / 1024).toFixed(0)} KiB more\n`,
  )
  expect(tries).toBeGreaterThan(100)
  expect(details.size).toBeGreaterThan(15)
  expect(microseconds).toBeLessThan(1000)
  expect(grown).toBeLessThan(8 * 1024 * 1024)
}, 300_000)

/** Valid tokens, a task token and every row of the attack table that is not huge. */
async function corpusOf(): Promise<string[]> {
  const claims = { sub: 'build-7', aud: ourIssuer }
  const built = await Promise.all(
    attacks.map((attack) => buildAttack(attack, { issuer: server, claims, now: fixtureTime / 1000 })),
  )
  const task = await keyset.sign('internal', 'task+jwt', {
    ...{ iss: ourIssuer, aud: `${ourIssuer}/tasks`, sub: `task_${'0'.repeat(26)}` },
    exp: fixtureTime / 1000 + 300,
  })
  return [await server.sign(claims), task, ...built.filter(({ length }) => length < 20_000)]
}

function requestWith(authorization: string): IncomingMessage {
  const request = new IncomingMessage(new Socket())
  // What Node's parser makes of the header's bytes: one character for each.
  request.headersDistinct = { authorization: [authorization] }
  return request
}

type Random = (below: number) => number

/** mulberry32: small, and the same everywhere. */
function createRandom(start: number): Random {
  let state = start >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function mutated(random: Random, corpus: readonly string[]): string {
  const pick = () => corpus[random(corpus.length)] ?? ''
  let text = pick()
  for (let left = random(4); left >= 0; left--) text = mutations[random(mutations.length)]?.(text, random, pick) ?? text
  return `${random(20) === 0 ? pick().slice(0, 8) : 'Bearer '}${text}`
}

type Mutation = (text: string, random: Random, pick: () => string) => string
const bytes = (random: Random, most: number) =>
  Buffer.from(Array.from({ length: random(most) }, () => random(256))).toString('latin1')
const onPart = (text: string, random: Random, change: (part: Buffer) => Buffer) => {
  const parts = text.split('.')
  const at = random(parts.length)
  parts[at] = change(Buffer.from(parts[at] ?? '', 'base64url')).toString('base64url')
  return parts.join('.')
}
const tokensOfJson = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\u0000',
  '\\ud800',
  '1e400',
  '__proto__',
  '"alg":"none",',
  '\ufeff',
]

const mutations: readonly Mutation[] = [
  (text) => text,
  (text, random) => {
    const at = random(text.length + 1)
    return text.slice(0, at) + bytes(random, 8) + text.slice(at + random(8))
  },
  (text, random) =>
    onPart(text, random, (part) => {
      const changed = Buffer.from(part)
      if (changed.length > 0) changed[random(changed.length)] = random(256)
      return changed
    }),
  (text, random) =>
    onPart(text, random, (part) => {
      const at = random(part.length + 1)
      const word = tokensOfJson[random(tokensOfJson.length)] ?? ''
      return Buffer.concat([part.subarray(0, at), Buffer.from(word), part.subarray(at + random(3))])
    }),
  // The end of one and the beginning of another.
  (text, random, pick) => text.slice(0, random(text.length + 1)) + pick().slice(random(200)),
  (text, random, pick) => {
    const [ours, theirs] = [text.split('.'), pick().split('.')]
    ours[random(ours.length)] = theirs[random(theirs.length)] ?? ''
    return ours.join('.')
  },
  (text, random) => text + '.A['.charAt(random(3)).repeat(random(20_000)),
  (_text, random) => bytes(random, 400),
]

function heapAfterGc(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
