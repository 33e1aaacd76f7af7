// The table of Redis keys in docs/architecture.md against the scripts and stores that make them.
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { ownDueIndexes } from '../../../src/ledger/keys.js'
import { readTable } from './markdown.js'

const documented = readTable('docs/architecture.md', ['key', 'type', 'what', 'ends']).map(([key = '']) =>
  key.replaceAll('`', ''),
)

function textOf(folder: string, ending: string): string {
  const files = readdirSync(folder).filter((file) => file.endsWith(ending))
  return files.map((file) => readFileSync(`${folder}/${file}`, 'utf8')).join('\n')
}
const scripts = textOf('src/ledger/lua', '.lua')
const stores = textOf('src/ledger', '.ts')

const found = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1] ?? '')

/** What stands behind the tag: whole names, or beginnings that end with a colon. */
const begun = new Set([
  ...found(scripts, /\bT \.\. '([^']+)'/g),
  // Beside `T .. 'sign'` a sign is also written under a name that is handed over.
  ...found(scripts, /note_sign\('([a-z]+)'/g),
  ...found(stores, /(?:\$\{tag\}|\$\{ledgerTag\(\S*?\)\})([a-z:-]+)/g),
])
begun.delete('settled')

/** Lists that hang on another key: `t:<task>:l`. */
const hung = new Set([
  ...found(scripts, /\.\. '(:[a-z]+)'/g),
  ...found(scripts, /'(:[a-z]+)'(?:,| \})/g),
  ...found(stores, /\}(:[a-z]+)`/g),
])
// Fields of a hash, not keys.
for (const field of [':body', ':m']) hung.delete(field)

test('has every key that the code makes', () => {
  for (const name of begun) {
    const isThere = documented.some((key) => (name.endsWith(':') ? key.startsWith(name) : key === name))
    if (!isThere) throw new Error(`docs/architecture.md has no key ${name}`)
  }
  for (const list of hung) {
    if (!documented.some((key) => key.endsWith(`>${list}`))) throw new Error(`docs/architecture.md has no key …${list}`)
  }
})

test('has no key that nobody makes', () => {
  for (const key of documented) {
    const [beginning = ''] = key.split('<')
    const isMade = begun.has(beginning) || [...begun].some((name) => name.endsWith(':') && beginning.startsWith(name))
    if (!isMade) throw new Error(`nobody makes ${key}`)
    const list = /<[a-z]+>(:[a-z]+)$/.exec(key)?.[1]
    if (list !== undefined) expect([...hung]).toContain(list)
  }
  const own = documented.flatMap((key) => /^due:([a-z]+)$/.exec(key)?.[1] ?? [])
  expect(own.sort()).toEqual([...ownDueIndexes].sort())
})
