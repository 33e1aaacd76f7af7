// What may change while a program runs: policies, grants, resources, groups, issuers, limits. Taken whole or not at all.
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Rules } from './broker/parts.js'
import { loadConfig } from './config/load.js'
import { loadPolicies } from './config/load-policies.js'
import type { Settings } from './config/schema.js'
import type { Clock } from './core/clock.js'
import { createCatalogue } from './grants/catalogue.js'
import { createIssuerPool, type IssuerPool } from './identity/issuer-pool.js'
import { type IssuerEvents, unwatched } from './identity/issuer-sight.js'
import { clientFacts, createIssuers } from './identity/issuers.js'
import { createPolicyEngine } from './policy/engine.js'
import { createGroups } from './policy/groups.js'
import { readPolicyFiles } from './policy/policy-files.js'
import type { Logger } from './telemetry/logger.js'

export interface RuleSet {
  readonly rules: Rules
  readonly issuers: IssuerPool
  /** Told to anybody at /.well-known/hallpass. */
  readonly clientFacts: ReturnType<typeof clientFacts>
}

/** Throws ConfigError or PolicySetError, each naming file and line. */
export async function composeRules(
  settings: Settings,
  file: string,
  clock: Clock,
  log?: Logger,
  events: IssuerEvents = unwatched,
): Promise<RuleSet> {
  const groups = createGroups(settings.groups)
  const policySet = await loadPolicies(settings)
  const policy = createPolicyEngine({ policySet, grants: settings.grants, groups })
  const catalogue = createCatalogue(settings.grants, settings.resources)
  const issuers = createIssuers(settings.issuers, {
    clock,
    ourIssuer: settings.issuer,
    directory: dirname(resolve(file)),
    events,
    report: (issuer, problem) => log?.warn({ issuer, problem }, 'a trust bundle was not taken'),
  })
  const requiring = new Set(
    Object.entries(settings.issuers).flatMap(([name, one]) => (one.task_token === 'required' ? [name] : [])),
  )
  return {
    rules: {
      catalogue,
      policy,
      limits: settings.limits,
      taskTokenRequired: (issuer) => requiring.has(issuer),
      isWorkloadIssuer: (name) => Object.hasOwn(settings.issuers, name) && settings.issuers[name]?.use === 'workload',
    },
    issuers: createIssuerPool(issuers, { ourIssuer: settings.issuer, events }),
    clientFacts: clientFacts(settings.issuers, settings.issuer),
  }
}

export interface RulesWatch {
  /** Reads everything again now (SIGHUP). */
  reload(): Promise<void>
  stop(): void
}

const lookEveryMs = 1000

/**
 * Looks each second whether the configuration or the policies changed. A change is taken when two reads agree, so that a
 * half-copied folder changes nothing; what does not load leaves the last good set in force and is told to `refused`.
 */
export function watchRules(
  file: string,
  policies: string,
  on: { take(settings: Settings): Promise<void>; refused(error: unknown): Promise<void> },
): RulesWatch {
  let seen: string | null = null
  let before: string | null = null
  let busy = Promise.resolve()
  const take = async () => {
    try {
      await on.take((await loadConfig(file)).settings)
    } catch (error) {
      await on.refused(error)
    }
  }
  const look = async () => {
    const now = await digestOf(file, policies)
    if (seen === null) seen = now
    else if (now !== seen && now === before) {
      seen = now
      await take()
    }
    before = now
  }
  const queue = (work: () => Promise<void>) => {
    busy = busy.then(work).catch(() => undefined)
    return busy
  }
  const timer = setInterval(() => void queue(look), lookEveryMs)
  timer.unref()
  void queue(look)
  return { reload: () => queue(take), stop: () => clearInterval(timer) }
}

async function digestOf(file: string, policies: string): Promise<string> {
  const hash = createHash('sha256')
  hash.update(await readFile(file).catch(() => ''))
  const texts = await readPolicyFiles(policies).catch(() => ({}))
  hash.update(JSON.stringify(texts))
  return hash.digest('hex')
}
