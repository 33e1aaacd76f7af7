// Figures → a table with the aims beside them, or JSON.
import type { Decisions, DecisionTimes } from './decisions.js'
import type { Drain } from './due-leases.js'
import type { IdentityFigures, Times } from './identity.js'
import type { Look } from './measure-look.js'
import type { Replay } from './replay.js'
import type { Load } from './summary.js'

export interface Figures {
  readonly machine: { readonly cpus: number; readonly cpu: string; readonly node: string; readonly redis: string }
  readonly secondsPerLoad: number
  readonly connections: number
  readonly exchange: Load
  readonly floor: Load
  readonly redisRoundTrips: number
  readonly complete: Load
  readonly issueAndRelease: Load
  readonly vault: { readonly raftWithAudit: Load; readonly devWithoutAudit: Load } | null
  readonly decisions: readonly Decisions[]
  readonly replay: Replay
  readonly look: Look
  readonly identity: IdentityFigures
  readonly drain: Drain
  readonly startMs: { readonly serve: number; readonly worker: number }
  readonly residentMiB: { readonly serveIdle: number; readonly serveLoaded: number; readonly worker: number }
}

export interface Row {
  readonly what: string
  readonly result: string
  readonly aim: string
  readonly met: boolean | null
}

export const figure = (value: number, digits = 0) =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
export const ms = (value: number) => `${figure(value, value < 10 ? 2 : 0)} ms`
const load = (one: Load) => `${figure(one.perSecond)}/s   p50 ${ms(one.p50Ms)}   p99 ${ms(one.p99Ms)}`
export const plain = (what: string, result: string): Row => ({ what, result, aim: '', met: null })

/** First aims of the project; `met` is what this run on this machine showed. */
export function rowsOf(figures: Figures): Row[] {
  const { exchange, floor, complete, issueAndRelease, drain, startMs, residentMiB } = figures
  const share = exchange.perSecond / floor.perSecond
  return [
    plain('exchange, jwt provider, audit fsynced', load(exchange)),
    plain('bare floor: node:http, verify, one Lua, sign', load(floor)),
    { what: 'exchange as a share of the floor', result: figure(share, 2), aim: '≥ 0.30', met: share >= 0.3 },
    roundTrips(figures.redisRoundTrips),
    plain('issue + release, to its receipt', load(issueAndRelease)),
    ...vaultRows(figures),
    {
      what: 'complete → confirmed dead',
      result: `p50 ${ms(complete.p50Ms)}   p99 ${ms(complete.p99Ms)}`,
      aim: 'p99 < 250 ms',
      met: complete.p99Ms < 250,
    },
    ...figures.decisions.flatMap(decisionRows),
    ...lookRows(figures.look),
    replayRow(figures.replay),
    ...identityRows(figures.identity),
    {
      what: `drain of ${figure(drain.leases)} due leases`,
      result: `${figure(drain.seconds, 2)} s`,
      aim: '≤ 5 s',
      met: drain.seconds <= 5,
    },
    {
      what: 'Redis per live lease, all indexes',
      result: `${figure(drain.bytesPerLease)} bytes`,
      aim: '≤ 1,600',
      met: drain.bytesPerLease <= 1600,
    },
    {
      what: 'start-up to ready: serve · worker',
      result: `${figure(startMs.serve)} ms · ${figure(startMs.worker)} ms`,
      aim: '≤ 2,000 ms',
      met: Math.max(startMs.serve, startMs.worker) <= 2000,
    },
    plain(
      'resident: serve idle · after load · worker',
      `${figure(residentMiB.serveIdle)} · ${figure(residentMiB.serveLoaded)} · ${figure(residentMiB.worker)} MiB`,
    ),
  ]
}

function replayRow({ decisions, policies, seconds, plainSeconds, equal }: Replay): Row {
  return {
    what: `replay of ${figure(decisions)} recorded decisions, ${figure(policies)} policies`,
    result: `${figure(seconds, 2)} s, ${figure(seconds / plainSeconds, 1)} × deciding alone${equal ? '' : ', NOT ALL EQUAL'}`,
    aim: '≤ 10 s, all equal',
    met: equal && seconds <= 10,
  }
}

/** Aims of the project, by the number of policies. */
const decisionAims: Readonly<Record<number, number>> = { 100: 0.2, 10000: 1 }

function decisionRows({ policies, actions, unseen, counts, again, cedar, loadMs }: Decisions): Row[] {
  const aimMs = decisionAims[policies]
  const row = (what: string, { perSecond, p50Ms, p99Ms }: DecisionTimes, more = ''): Row => ({
    what: `decisions, ${figure(policies)} policies, ${what}`,
    result: `${figure(perSecond)}/s   p50 ${figure(p50Ms, 3)} ms   p99 ${figure(p99Ms, 3)} ms${more}`,
    aim: aimMs === undefined ? '' : `p99 < ${aimMs} ms`,
    met: aimMs === undefined ? null : p99Ms < aimMs,
  })
  const loaded = `   (${actions} actions, loaded in ${figure(loadMs)} ms)`
  return [
    row('an attribute never seen', unseen, loaded),
    plain('… against Cedar alone with one policy', `${figure(unseen.p50Ms / cedar.p50Ms, 2)} × of ${timesOf(cedar)}`),
    row('other counts', counts),
    row('asked before', again),
  ]
}

function lookRows({ leases, look, bare, callsPerLook, redisMicroseconds }: Look): Row[] {
  return [
    {
      what: `look at task, session and account with ${figure(leases)} leases`,
      result: `p50 ${ms(look.p50Ms)}   p99 ${ms(look.p99Ms)}   in ${figure(callsPerLook, 2)} calls`,
      aim: 'p50 < 1 ms, 1',
      met: look.p50Ms < 1 && callsPerLook === 1,
    },
    plain(
      'the same against a bare EVALSHA',
      `${figure(look.p50Ms / bare.p50Ms, 2)} × of p50 ${ms(bare.p50Ms)}   Redis works ${figure(redisMicroseconds)} µs on it`,
    ),
  ]
}

function roundTrips(count: number): Row {
  return { what: 'Redis round trips on the way out', result: figure(count, 2), aim: '3', met: Math.round(count) <= 3 }
}

const microseconds = (value: number) => `${figure(value * 1000)} µs`
const timesOf = ({ p50Ms, p99Ms }: Times, unit = microseconds) => `p50 ${unit(p50Ms)}   p99 ${unit(p99Ms)}`

function identityRows({ warm, cold, again, refusals }: IdentityFigures): Row[] {
  const ratio = ({ pool, jose }: { pool: Times; jose: Times }) => pool.p50Ms / jose.p50Ms
  const faster = warm.pool.p50Ms / again.p50Ms
  const slowest = refusals.reduce((worst, one) => (one.cpuMs > worst.cpuMs ? one : worst))
  const against = (what: string, pair: { pool: Times; jose: Times }): Row => ({
    what,
    result: `${figure(ratio(pair), 2)} ×`,
    aim: '≤ 1.3 ×',
    met: ratio(pair) <= 1.3,
  })
  return [
    plain('verify a fresh ES256 token, every check', timesOf(warm.pool)),
    plain('the same by jose.jwtVerify alone', timesOf(warm.jose)),
    against('verify against jose.jwtVerify', warm),
    plain('the first token, keys fetched · by jose', `${timesOf(cold.pool, ms)} · ${timesOf(cold.jose, ms)}`),
    against('the first token against jose', cold),
    plain('a live token shown again', timesOf(again)),
    { what: 'shown again against verified', result: `${figure(faster, 1)} × faster`, aim: '≥ 5 ×', met: faster >= 5 },
    {
      what: `refusal of the worst input (${slowest.what})`,
      result: `${figure(slowest.cpuMs, 3)} ms of CPU`,
      aim: '≤ 1 ms',
      met: slowest.cpuMs <= 1,
    },
  ]
}

function vaultRows({ vault, issueAndRelease }: Figures): Row[] {
  if (vault === null) return [plain('Vault: JWT login + revoke-self', 'left out: no vault or bao on PATH')]
  const ratio = issueAndRelease.perSecond / vault.raftWithAudit.perSecond
  const devRatio = issueAndRelease.perSecond / vault.devWithoutAudit.perSecond
  return [
    plain('Vault login + revoke-self, raft and file audit', load(vault.raftWithAudit)),
    plain('Vault login + revoke-self, -dev, no audit', load(vault.devWithoutAudit)),
    {
      what: 'issue + release against Vault with raft and audit',
      result: `${figure(ratio, 2)} ×`,
      aim: '≥ 2 ×',
      met: ratio >= 2,
    },
    plain('issue + release against Vault -dev, no audit', `${figure(devRatio, 2)} ×`),
  ]
}

/** The table and how it was measured. */
export const printTable = (figures: Figures) => printRows(rowsOf(figures), method(figures))

/** Rows with their verdicts, and under them how they were measured. */
export function printRows(rows: readonly Row[], how: readonly string[]): string {
  const width = Math.max(...rows.map((row) => row.what.length))
  const resultWidth = Math.max(...rows.filter((row) => row.aim !== '').map((row) => row.result.length))
  const verdict = (row: Row) => (row.met === null ? '' : `  ${row.aim.padEnd(13)} ${row.met ? 'met' : 'MISSED'}`)
  const lines = rows.map(
    (row) => `  ${row.what.padEnd(width)}  ${row.result.padEnd(row.met === null ? 0 : resultWidth)}${verdict(row)}`,
  )
  return [...lines, '', ...how.map((line) => `  ${line}`), ''].join('\n')
}

const method = ({ machine, connections, secondsPerLoad }: Figures) => [
  `${machine.cpus} × ${machine.cpu}, Node ${machine.node}, Redis ${machine.redis}; everything on this machine, the load included.`,
  `serve and worker as built, one process each, default logs, audit fsynced, Redis with an append-only file (everysec).`,
  `Load: a process of its own, ${connections} keep-alive connections, each asks again when answered, ${secondsPerLoad} s after warming up;`,
  'exchange and floor in turns. A release or completion counts only with a receipt `confirmed`. complete → dead: 4 connections.',
  'Drain: the worker is held (SIGSTOP) until all are due; from then until the due index has none of them, all `expired`.',
  'Tokens: fresh ones, in this process, pool and jose in turns, medians compared; refusals by CPU time, 300 of each.',
  'Bytes: growth of used_memory without buffers over those leases. Round trips: network reads of Redis per exchange.',
]
