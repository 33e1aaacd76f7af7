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
    plain('exchange p99: empty ledger · with those live', `${ms(exchangeEmpty.p99Ms)} · ${ms(exchangeFull.p99Ms)}`),
    row('… as a ratio', `${figure(worse, 2)} ×`, '≤ 1.5 ×', worse <= 1.5),
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
  const { completions, endedPerSecond } = vault
  const gain = endedPerSecond.two / endedPerSecond.one
  return [
    row(
      `complete → confirmed dead, ${vault.completionsPerSecond}/s, Vault`,
      `p50 ${ms(completions.p50Ms)}   p99 ${ms(completions.p99Ms)}`,
      'p99 < 1 s',
      completions.p99Ms < 1000,
    ),
    plain(
      `${figure(vault.leases)} due at Vault: one worker · two`,
      `${figure(endedPerSecond.one)}/s · ${figure(endedPerSecond.two)}/s`,
    ),
    row('… as a ratio', `${figure(gain, 2)} ×`, '≥ 1.7 ×', gain >= 1.7),
  ]
}

export const printEngine = (engine: Engine) => printRows(engineRows(engine), method(engine))

const method = ({ machine, redisVersion, vault }: Engine) => [
  `${machine.cpus} × ${machine.cpu}, Node ${machine.node}, Redis ${redisVersion}; everything on this machine, the load included.`,
  'Live leases are laid by the ledger’s own scripts; half of them are of the one account that the order names.',
  'Completions are timed from the moment each is due (not from when it was sent) to a receipt `confirmed`; their tasks are open before.',
  'Exchange: 4 connections. Drain: the worker is held (SIGSTOP) until all are due. Redis calls: SLOWLOG while the order runs,',
  'which is time by the clock: a single command without a script that is as slow says that Redis did not get a processor.',
  ...(vault === null ? [] : ['Vault (-dev, one process) shares the processors with both workers, Redis and the load.']),
]
