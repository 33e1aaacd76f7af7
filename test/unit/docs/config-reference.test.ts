// The table of settings in docs/configuration.md against the schema that start-up uses: every key, every default.
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { settingsSchema } from '../../../src/config/schema.js'
import { configKeysOf, defaultOf } from './config-keys.js'
import { readTable } from './markdown.js'

const documented = readTable('docs/configuration.md', ['key', 'default', 'what']).map(([key = '', given = '']) => ({
  key: key.replaceAll('`', ''),
  given,
}))
const known = configKeysOf(settingsSchema)

describe('the configuration reference', () => {
  test('has every key that the schema knows, and no other', () => {
    expect(documented.map(({ key }) => key).sort()).toEqual([...known.keys()].sort())
  })

  test.each(documented)('$key: the default is the schema’s', ({ key, given }) => {
    const schemas = known.get(key) ?? []
    const literal = /^`(.*)`$/.exec(given)?.[1]
    if (given === 'required') {
      for (const schema of schemas) expect(schema.safeParse(undefined).success).toBe(false)
    } else if (given === '–') {
      for (const schema of schemas) expect(schema.safeParse(undefined)).toEqual({ success: true, data: undefined })
    } else if (literal === undefined) {
      // Described in words: there is one, whatever it is; a preset may fill in what one of the schemas leaves open.
      expect(schemas.some((schema) => defaultOf(schema) !== undefined)).toBe(true)
    } else {
      const defaults = schemas.map(defaultOf)
      const written = schemas.flatMap((schema) => {
        const parsed = schema.safeParse(parse(literal))
        return parsed.success ? [parsed.data] : []
      })
      expect(written.length).toBeGreaterThan(0)
      expect(defaults).toContainEqual(written[0])
    }
  })
})
