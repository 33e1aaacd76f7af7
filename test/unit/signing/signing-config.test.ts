import { describe, expect, test } from '@jest/globals'
import { keysConfig } from '../../../src/signing/signing-config.js'

const key = Buffer.alloc(32, 7).toString('base64')

describe('the keys section', () => {
  test.each([key, `${key},${key}`, `${key}, ${key}`])('takes sealing keys and never prints them', (sealing) => {
    const parsed = keysConfig.parse({ directory: './keys', sealing })
    expect(parsed.sealing.reveal()).toBe(sealing)
    expect(JSON.stringify(parsed)).not.toContain(key)
  })

  test.each(['', 'short', Buffer.alloc(31).toString('base64'), `${key},`, Buffer.alloc(33).toString('base64')])(
    'refuses %j as a sealing key without repeating it',
    (sealing) => {
      const result = keysConfig.safeParse({ directory: './keys', sealing })
      expect(result.error?.issues[0]).toMatchObject({
        path: ['sealing'],
        message: expect.stringMatching(/expected 32 bytes/),
      })
      if (sealing.length > 8) expect(JSON.stringify(result.error)).not.toContain(sealing)
    },
  )
})
