// The bounds of the `dpop:` section: how long a stolen proof can be of use is the operator's choice within them.
import { expect, test } from '@jest/globals'
import { dpopConfig } from '../../../src/identity/dpop-config.js'

test('a proof is good for a minute and needs no nonce, unless told', () => {
  expect(dpopConfig.parse(undefined)).toEqual({ max_age: 60, nonce: false })
  expect(dpopConfig.parse({ nonce: true })).toEqual({ max_age: 60, nonce: true })
})

test('for a second to five minutes, no less and no more', () => {
  expect(dpopConfig.parse({ max_age: '1s' }).max_age).toBe(1)
  expect(dpopConfig.parse({ max_age: '5m' }).max_age).toBe(300)
  for (const max_age of ['0s', '301s', '1h']) expect(dpopConfig.safeParse({ max_age }).success).toBe(false)
})
