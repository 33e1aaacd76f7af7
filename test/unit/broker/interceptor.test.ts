import { describe, expect, test } from '@jest/globals'
import { type Interceptor, interceptEffects, noInterceptor } from '../../../src/broker/interceptor.js'
import type { Parts } from '../../../src/broker/parts.js'

const provider = { name: 'tokens' }
const parts = {
  ledger: { kind: 'ledger' },
  audit: { kind: 'audit' },
  queue: { kind: 'queue' },
  providers: new Map([['tokens', provider]]),
} as unknown as Parts

describe('interceptEffects', () => {
  test('in production gives the very same parts, with nothing between', () => {
    const given = interceptEffects(parts, noInterceptor)
    expect(given.ledger).toBe(parts.ledger)
    expect(given.audit).toBe(parts.audit)
    expect(given.queue).toBe(parts.queue)
    expect(given.providers.get('tokens')).toBe(provider)
  })

  test('lets a harness stand around ledger, audit, queue and each provider, by name', () => {
    const names: string[] = []
    const intercept: Interceptor = (name, part) => {
      names.push(name)
      return { ...part, intercepted: true }
    }
    const given = interceptEffects(parts, intercept)
    expect(names.sort()).toEqual(['audit', 'ledger', 'queue', 'tokens'])
    expect(given.providers.get('tokens')).toEqual({ name: 'tokens', intercepted: true })
  })
})
