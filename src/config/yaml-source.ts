// The configuration's text to plain values that remember where they stood. Scalars `env:NAME` and `file:PATH` are
// resolved here; anchors, tags, merge keys and duplicate keys are refused, so that what is read is what is written.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { type ConfigProblem, ConfigProblems, systemCode } from './problems.js'

export type Path = readonly (string | number)[]
export type Environment = Readonly<Record<string, string | undefined>>

export interface YamlSource {
  readonly value: unknown
  /** Paths, as JSON, of the scalars that came from the environment or from a file. */
  readonly references: ReadonlySet<string>
  /** A problem at this path, or at the nearest thing above it that stands in the file. */
  problemAt(path: Path, message: string): ConfigProblem
}

interface Reading {
  readonly file: string
  readonly folder: string
  readonly env: Environment | null
  readonly lines: LineCounter
  readonly places: Map<string, number>
  readonly references: Set<string>
  readonly problems: ConfigProblems
}

/**
 * Throws ConfigError with every syntax problem and every reference that leads nowhere. With `env: null` nothing is a
 * reference: what stands in the file is all there is.
 */
export function parseYamlSource(text: string, file: string, folder: string, env: Environment | null): YamlSource {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    stringKeys: true,
    merge: false,
    prettyErrors: false,
  })
  const places = new Map<string, number>([['[]', 0]])
  const reading: Reading = {
    ...{ file, folder, env, lines, places },
    references: new Set(),
    problems: new ConfigProblems(),
  }
  refuseSyntax(document, reading)
  const value = isNode(document.contents) ? plain(document.contents, [], reading) : null
  reading.problems.throwIfAny()
  return {
    value,
    references: reading.references,
    problemAt: (path, message) => problemAt(reading, path, message),
  }
}

function refuseSyntax(document: Document.Parsed, reading: Reading): void {
  for (const error of [...document.errors, ...document.warnings]) {
    const { line, col } = reading.lines.linePos(error.pos[0])
    const message = error.message.replace(/ at line \d+, column \d+:?[\s\S]*$/, '')
    reading.problems.add({ file: reading.file, line, column: col, path: '', message })
  }
  reading.problems.throwIfAny()
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value)
}

function plain(node: Node | null, path: Path, reading: Reading): unknown {
  if (node === null) return null
  const refuse = (message: string) => reading.problems.add(problemAt(reading, path, message))
  if (isAlias(node)) return void refuse('expected no anchors and aliases: write the value out')
  if ('anchor' in node && node.anchor !== undefined) refuse('expected no anchors and aliases: write the value out')
  if (node.tag !== undefined && !/^tag:yaml\.org,2002:(map|seq|str|int|float|bool|null)$/.test(node.tag)) {
    refuse('expected no tags')
  }
  if (isMap(node)) return plainMap(node, path, reading)
  if (isSeq(node)) {
    return node.items.map((item, index) => {
      note(reading, [...path, index], isNode(item) ? item : node)
      return plain(isNode(item) ? item : null, [...path, index], reading)
    })
  }
  return isScalar(node) ? resolveScalar(node.value, path, reading) : undefined
}

function plainMap(node: { items: { key: unknown; value: unknown }[] }, path: Path, reading: Reading): unknown {
  const object: Record<string, unknown> = {}
  for (const { key, value } of node.items) {
    if (!isScalar(key)) continue
    const name = String(key.value)
    const at = [...path, name]
    note(reading, at, key)
    if (name === '__proto__') reading.problems.add(problemAt(reading, at, 'is not an allowed key'))
    else object[name] = plain(isNode(value) ? value : null, at, reading)
  }
  return object
}

function note(reading: Reading, path: Path, node: Node): void {
  if (node.range) reading.places.set(JSON.stringify(path), node.range[0])
}

function resolveScalar(value: unknown, path: Path, reading: Reading): unknown {
  const { env } = reading
  const match = typeof value === 'string' ? /^(env|file):(.*)$/s.exec(value) : null
  if (match === null || env === null) return value
  const name = match[2] ?? ''
  reading.references.add(JSON.stringify(path))
  const refuse = (message: string) => reading.problems.add(problemAt(reading, path, message))
  if (match[1] === 'env') {
    const text = env[name]
    // An empty variable is what a forgotten one looks like in many a start script.
    if (text === undefined || text === '') refuse(`environment variable ${name} is not set`)
    return text
  }
  try {
    return readFileSync(resolve(reading.folder, name), 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    refuse(`file ${name} cannot be read (${systemCode(error) ?? 'unknown reason'})`)
    return undefined
  }
}

function problemAt(reading: Reading, path: Path, message: string): ConfigProblem {
  let known = path
  while (known.length > 0 && !reading.places.has(JSON.stringify(known))) known = known.slice(0, -1)
  const { line, col } = reading.lines.linePos(reading.places.get(JSON.stringify(known)) ?? 0)
  return { file: reading.file, line: Math.max(line, 1), column: Math.max(col, 1), path: pathText(path), message }
}

/** `grants."database.query".ttl`: a dot inside a name must not look like a step. */
function pathText(path: Path): string {
  return path
    .map((step) =>
      typeof step === 'number' ? `[${step}]` : /^[A-Za-z0-9_-]+$/.test(step) ? `.${step}` : `.${JSON.stringify(step)}`,
    )
    .join('')
    .replace(/^\./, '')
}
