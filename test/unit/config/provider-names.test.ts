// A provider's due index is `due:<provider>` in the ledger, beside `due:tasks` and its like: one of those names would put leases
// where the sweeper looks for tasks, and it would drop what it does not know.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { settingsSchema } from '../../../src/config/schema.js'
import { ownDueIndexes } from '../../../src/ledger/keys.js'

const { providers } = settingsSchema.shape
const isTaken = (name: string) => providers.safeParse({ [name]: { type: 'jwt' } }).success

test.each([...ownDueIndexes])('a provider may not be called %s', (name) => {
  expect(isTaken(name)).toBe(false)
})

test('other names are taken, also those that only begin like one of them', () => {
  for (const name of ['tokens', 'tasks-2', 'lock', 'vault_eu']) expect(isTaken(name)).toBe(true)
})

describe('the names that are refused', () => {
  const folders = ['src/ledger', 'src/ledger/lua']
  const files = folders.flatMap((folder) => readdirSync(folder).map((file) => `${folder}/${file}`))
  const text = files.flatMap((file) => (/\.(ts|lua)$/.test(file) ? [readFileSync(file, 'utf8')] : [])).join('\n')

  test('are all the due indexes that the ledger has for itself', () => {
    const written = [...text.matchAll(/due:([a-z]+)['`]/g)].map((match) => match[1])
    const byName = [...text.matchAll(/'take-due-names', '([a-z]+)'/g)].map((match) => match[1])
    expect([...new Set([...written, ...byName])].sort()).toEqual([...ownDueIndexes].sort())
  })
})
