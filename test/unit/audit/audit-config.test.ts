import { describe, expect, test } from '@jest/globals'
import { auditConfig } from '../../../src/audit/audit-config.js'

describe('the audit section', () => {
  test('takes a directory and an instance', () => {
    const section = { directory: '/var/lib/hallpass/audit', instance: 'broker-1.acme' }
    expect(auditConfig.parse(section)).toEqual(section)
  })

  test.each(['', '../other', 'a/b', '.hidden', 'a b', 'x'.repeat(129)])(
    'refuses the instance %j, part of a path',
    (instance) => {
      expect(auditConfig.safeParse({ directory: '/audit', instance }).success).toBe(false)
    },
  )

  test('refuses keys that it does not know', () => {
    expect(auditConfig.safeParse({ directory: '/audit', instance: 'a', sink: 'x' }).success).toBe(false)
  })
})
