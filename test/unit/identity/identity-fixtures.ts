// What the identity tests share: a clock that is set by hand, tokens made byte by byte, and one way to see a refusal.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from '@jest/globals'
import { BrokerError } from '../../../src/core/errors.js'
import type { Issuer } from '../../../src/identity/issuer.js'
import { issuersConfig } from '../../../src/identity/issuer-config.js'
import { createIssuerPool, type IssuerPool } from '../../../src/identity/issuer-pool.js'
import { createIssuers, type IssuerDeps } from '../../../src/identity/issuers.js'

export const ourIssuer = 'https://hallpass.acme.example'
/** A minute after the SPIRE fixtures were made. */
export const fixtureTime = Date.parse('2026-11-22T13:19:00Z')

export interface ManualClock {
  now(): number
  monotonic(): number
  advance(seconds: number): void
}

export function createManualClock(start = fixtureTime): ManualClock {
  let now = start
  return {
    now: () => now,
    monotonic: () => now,
    advance(seconds) {
      now += seconds * 1000
    },
  }
}

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url))
export const fixturePath = (name: string) => fixtures + name
export const readFixture = (name: string) => readFileSync(fixturePath(name), 'utf8').trim()

/**
 * A machine that stands still for a second or two is no outage of an issuer: what is due is waited for, except where a test says
 * how long (`undefined` is what a broker has).
 */
const patience = { fetchTimeoutMs: 30_000, softWaitMs: 30_000 }

/** Parses the section as an operator would write it, and makes the pool that a broker would have. */
export function createPool(
  section: unknown,
  deps: Partial<IssuerDeps> = {},
): IssuerPool & { find(name: string): Issuer } {
  const clock = deps.clock ?? createManualClock()
  const issuers = createIssuers(issuersConfig.parse(section), {
    ...{ clock, ourIssuer, directory: fixtures },
    ...{ ...patience, ...deps },
  })
  const pool = createIssuerPool(issuers, { ourIssuer })
  return {
    ...pool,
    find(name) {
      const issuer = issuers.find((candidate) => candidate.name === name)
      if (issuer === undefined) throw new Error(`no issuer ${name}`)
      return issuer
    },
  }
}

export const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

/** A token whose signature is noise: for what is refused before a key is looked at. */
export function unsignedToken(claims: unknown, header: unknown = { alg: 'ES256', kid: 'k', typ: 'JWT' }): string {
  return `${encode(header)}.${encode(claims)}.${encode('a signature that nobody looks at')}`
}

/** Runs what must be refused; checks that the refusal shows nothing of the token, and returns it. */
export async function refusal(run: () => unknown, token = ''): Promise<BrokerError> {
  const error = await Promise.resolve()
    .then(run)
    .then(
      () => null,
      (reason: unknown) => reason,
    )
  expect(error).toBeInstanceOf(BrokerError)
  const refused = error as BrokerError
  const shown = JSON.stringify([refused.detail, refused.message, refused.members])
  for (const part of token.split('.')) if (part.length > 8) expect(shown).not.toContain(part.slice(0, 16))
  return refused
}

/** `code detail`, to be matched at once. */
export async function refusalText(run: () => unknown, token = ''): Promise<string> {
  const { code, detail } = await refusal(run, token)
  return `${code} ${detail}`
}
