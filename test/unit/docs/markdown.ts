// The parts of a Markdown file that a machine can hold to its word.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Fence {
  readonly language: string
  readonly text: string
  /** Of its first line, from 1. */
  readonly line: number
}

export function readFences(file: string): Fence[] {
  const fences: Fence[] = []
  let open: { language: string; line: number; lines: string[] } | null = null
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    const mark = /^```(\w*)$/.exec(line)
    if (mark && open === null) open = { language: mark[1] ?? '', line: index + 2, lines: [] }
    else if (mark && open !== null) {
      fences.push({ language: open.language, line: open.line, text: `${open.lines.join('\n')}\n` })
      open = null
    } else open?.lines.push(line)
  }
  return fences
}

/** The rows of the table whose heading has these cells, each cell as it is written. */
export function readTable(file: string, heading: readonly string[]): string[][] {
  const rows = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => (line.startsWith('|') ? cellsOf(line) : null))
  const at = rows.findIndex((cells) => cells?.join() === heading.join())
  if (at < 0) throw new Error(`${file} has no table ${heading.join(' | ')}`)
  const end = rows.findIndex((cells, index) => index > at && cells === null)
  return rows.slice(at + 2, end).filter((cells) => cells !== null)
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
}

export interface Link {
  /** From the repository's root. */
  readonly path: string
  /** As it stands in the address; null: the file itself. */
  readonly heading: string | null
}

/** Every link to a file of ours, or to a heading in one. */
export function readLinks(file: string): Link[] {
  return [...readFileSync(file, 'utf8').matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)].map(
    ([, path, heading]) => ({
      path: path ? join(dirname(file), path) : file,
      heading: heading ?? null,
    }),
  )
}

/** The addresses of a file's headings, as GitHub makes them. */
export function readHeadings(file: string): string[] {
  const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text)
  return headings.map((text) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
