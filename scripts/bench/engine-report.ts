// The engine's figures → a table with the aims beside them, or JSON.
import type { EngineFigures } from './measure-engine.js'
import type { EngineWithVault } from './measure-engine-vault.js'
import { figure, ms, plain, printRows, type Row } from './report.js'

export interface Engine extends EngineFigures {
  readonly machine: { readonly cpus: number; readonly cpu: string; readonly node: string }
  readonly vault: EngineWithVault | null
}

const row = (what: string, result: string, aim: string, met: boolean): Row => ({ what, result, aim, met })

export function engineRows(engine: Engine): Row[] {
  const { completions, drain, exchangeEmpty, exchangeFull } = engine
  const worse = exchangeFull.p99Ms / exchangeEmpty.p99Ms
  return [
    ...bulkRows(engine),
    row(
      `complete → confirmed dead, ${engine.completionsPerSecond}/s, jwt`,
      `p50 ${ms(completions.p50Ms)}   p99 ${ms(completions.p99Ms)}`,
      'p99 < 250 ms',
      completions.p99Ms < 250,
    ),
    ...vaultRows(engine),
    row(
      `${figure(drain.leases)} due at the same moment, drained`,
      `${figure(drain.seconds, 2)} s`,
      '≤ 5 s',
      drain.seconds <= 5,
    ),
    row(
      `Redis per lease, ${figure(engine.live)} live`,
      `${figure(engine.bytesPerLease)} bytes`,
      '≤ 1,600',
      engine.bytesPerLease <= 1600,
    ),
    plain(
      'exchange p50 · p99: empty ledger, with those live',
      `${ms(exchangeEmpty.p50Ms)} · ${ms(exchangeEmpty.p99Ms)}, ${ms(exchangeFull.p50Ms)} · ${ms(exchangeFull.p99Ms)}`,
    ),
    row('… p99 as a ratio', `${figure(worse, 2)} ×`, '≤ 1.5 ×', worse <= 1.5),
  ]
}

function bulkRows({ bulk }: Engine): Row[] {
  const { admin, deploy, write, read } = bulk.lastEnded
  const seconds = (value: number) => `${figure(value, 1)} s`
  return [
    plain(
      `one order over ${figure(bulk.leases)} leases: answered · done`,
      `${figure(bulk.answeredMs / 1000, 1)} s · ${seconds(bulk.seconds)} (${figure(bulk.leases / bulk.seconds)}/s)`,
    ),
    bulk.slow === null
      ? plain('… Redis calls over 10 ms', 'not asked: REDIS_URL names somebody’s own')
      : row(
          '… Redis calls over 10 ms · longest · without a script',
          `${figure(bulk.slow.over10ms)} · ${ms(bulk.slow.longestMs)} · ${ms(bulk.slow.plainMs)}`,
          '0',
          bulk.slow.over10ms === 0,
        ),
    row(
      `… tasks completed beside it, ${bulk.besidePerSecond}/s`,
      `p50 ${ms(bulk.beside.p50Ms)}   p99 ${ms(bulk.beside.p99Ms)}`,
      'p99 < 50 ms',
      bulk.beside.p99Ms < 50,
    ),
    row(
      '… last ended: admin · deploy · write · read',
      [admin, deploy, write, read].map(seconds).join(' · '),
      'in this order',
      admin <= deploy && deploy <= write && write <= read,
    ),
  ]
}

function vaultRows({ vault }: Engine): Row[] {
  if (vault === null) return [plain('with Vault', 'left out: no vault or bao on PATH')]
  const { completions, ended, endedFar } = vault
  const perSecond = ({ one, two }: typeof ended) => `${figure(one)}/s · ${figure(two)}/s: ${figure(two / one, 2)} ×`
  return [
    row(
      `complete → confirmed dead, ${vault.completionsPerSecond}/s, Vault`,
      `p50 ${ms(completions.p50Ms)}   p99 ${ms(completions.p99Ms)}`,
      'p99 < 1 s',
      completions.p99Ms < 1000,
    ),
    row(
      `${figure(ended.leases)} due at Vault: one worker · two`,
      perSecond(ended),
      '≥ 1.7 ×',
      ended.two >= 1.7 * ended.one,
    ),
    row(
      `${figure(endedFar.leases)} due at a Vault ${ms(2 * endedFar.oneWayMs)} away and back: one worker · two`,
      perSecond(endedFar),
      '≥ 1.7 ×',
      endedFar.two >= 1.7 * endedFar.one,
    ),
  ]
}

export const printEngine = (engine: Engine) => printRows(engineRows(engine), method(engine))

const method = ({ machine, redisVersion, isRedisPreferred, vault }: Engine) => [
  `${machine.cpus} × ${machine.cpu}, Node ${machine.node}, Redis ${redisVersion}; everything on this machine, the load included.`,
  'Live leases are laid by the ledger’s own scripts; half of them are of the one account that the order names.',
  'Completions are timed from the moment each is due (not from when it was sent) to a receipt `confirmed`; their tasks are open before.',
  'Exchange: 4 connections, seven loads of each ledger in turns, the middle one by p99; each ledger has a Redis and programs of its own.',
  'Drain: the worker is held (SIGSTOP) until all are due. Redis calls: SLOWLOG while the order runs,',
  'which is time by the clock: a single command without a script that is as slow says that Redis did not get a processor.',
  isRedisPreferred
    ? 'Redis has the first turn at the processors (its priority is raised), as on a host of its own.'
    : 'Redis shares the processors with everything else: its priority could not be raised.',
  ...(vault === null
    ? []
    : [
        'Vault (-dev, one process) shares the processors with both workers, Redis and the load: two workers can end no more there',
        'than these give. Far away, it is the same Vault behind a line that delays all that passes.',
      ]),
]
