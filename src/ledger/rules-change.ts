// Which rules are in force, and how far live leases have been judged by them. Kept in the ledger, so that of many programs
// which load the same files at slightly different times exactly one judges, and another goes on where it was killed.
import type { Holder } from './task.js'

/** `due`: leases are to be judged; `waiting`: more would end than the brake lets; `done`: all that live are permitted. */
export type ChangeState = 'due' | 'waiting' | 'done'

export interface RulesChange {
  /** Hash of the set in force. */
  readonly hash: string
  readonly state: ChangeState
  /** The set that live leases were judged by last; null: none yet. */
  readonly applied: string | null
  /** Somebody is at it. */
  readonly held: boolean
  /** As counted when it began to wait, or when it was done. */
  readonly live: number
  readonly doomed: number
  /** Told to end on account of this set, so far. */
  readonly ended: number
  /** Told to end by the sets of the ten minutes before, without a word: the brake counts them together. */
  readonly endedLately: number
  /** The operator who said that it may. */
  readonly releasedBy: string | null
  /** Epoch milliseconds. */
  readonly adoptedAt: number
}

/** The work of judging, taken by one program. */
export interface RedecisionTurn {
  readonly hash: string
  readonly token: string
  /** Epoch milliseconds. */
  readonly begunAt: number
  /** Only what was issued since then is to be judged, epoch milliseconds; 0: all. */
  readonly since: number
  /** The set that leases were judged by last. */
  readonly applied: string | null
  readonly ended: number
  /** Told to end by the sets of the ten minutes before, without a word. */
  readonly endedLately: number
  readonly released: boolean
  /** What issuers required by that set, as it was given to `endRedecision`. */
  readonly requires: string | null
}

/** Beside a look: how many leases each of its names stands for, so that one of them can be left out. */
export interface HolderCounts {
  /** `a:action`, `c:access`, `r:resource` → leases that hold it. */
  readonly heldCounts: Readonly<Record<string, number>>
  /** The same with `t:seconds` and `s:sensitivity` → leases that were granted it within the window. */
  readonly grantedCounts: Readonly<Record<string, number>>
}

export interface RulesStore<Look> {
  /** Says which rules a program decides by, each second. `other`: a newer set is in force, and this program is late. */
  adoptRules(program: string, hash: string): Promise<{ role: 'current' | 'other'; change: RulesChange }>
  /** Null before any program has said what it decides by. */
  findRulesChange(): Promise<RulesChange | null>
  /** The turn for one taker, which keeps it for 10 s at a time; null: nothing to do, or it is another's. */
  beginRedecision(hash: string): Promise<RedecisionTurn | null>
  /** False: stop, the turn is another's or the rules have changed. */
  keepRedecision(turn: RedecisionTurn): Promise<boolean>
  /** `due`: given back unfinished. */
  endRedecision(
    turn: RedecisionTurn,
    outcome: ChangeState,
    counts: { live: number; doomed: number },
    requires: string,
  ): Promise<boolean>
  /** False: this set is not the one that waits. */
  releaseRedecision(hash: string, actor: string): Promise<boolean>
  lookCounted(holders: readonly Holder[]): Promise<{ now: number; holders: (Look & HolderCounts)[] }>
}
