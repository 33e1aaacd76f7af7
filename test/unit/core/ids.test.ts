import { describe, expect, test } from '@jest/globals'
import { createId, isId } from '../../../src/core/ids.js'

describe('ids', () => {
  test('are a prefix and 26 characters, sort by their time and never repeat', () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => createId('lease', 1_700_000_000_000 + i))
    expect(new Set(ids.map((id) => id.slice(-16))).size).toBe(ids.length)
    expect([...ids].sort()).toEqual(ids)
    for (const id of ids) expect(id).toMatch(/^lease_[0-9a-hjkmnp-tv-z]{26}$/)
  })

  test('are recognised by prefix and shape', () => {
    const id = createId('task', 1)
    expect(isId('task', id)).toBe(true)
    for (const other of [
      `${id}0`,
      id.slice(0, -1),
      id.toUpperCase(),
      id.replace('task', 'lease'),
      `${id.slice(0, -1)}:`,
    ]) {
      expect(isId('task', other)).toBe(false)
    }
  })
})
