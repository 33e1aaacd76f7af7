// A story for people: a line per record, children indented below what opened them, readable on 100 columns.
import type { AuditEntry } from '../api/audit.js'
import { wordsOf } from './record-words.js'

const width = 100
const timeWidth = 'hh:mm:ss.mmm  '.length

/** `entries` in order. The day stands above its first line. */
export function timelineText(root: string, entries: readonly AuditEntry[]): string {
  const depths = depthsOf(root, entries)
  const lines: string[] = []
  let day = ''
  for (const entry of entries) {
    if (entry.time.slice(0, 10) !== day) {
      day = entry.time.slice(0, 10)
      lines.push(day)
    }
    const depth = depths.get(entry.task ?? root) ?? 0
    // What happens in a task stands below the line that opened it.
    const inside = entry.event === 'task.opened' || entry.event === 'task.ended' || entry.task === undefined ? 0 : 1
    lines.push(...wrap(entry.time.slice(11, 23), 2 * depth + inside * 2, wordsOf(entry)))
  }
  return lines.join('\n')
}

/** Task → how far below the root. One whose opening is not told stands directly below it. */
function depthsOf(root: string, entries: readonly AuditEntry[]): Map<string, number> {
  const opened = entries.filter(({ event }) => event === 'task.opened')
  const parents = new Map(opened.map(({ task, parent }) => [task ?? '', typeof parent === 'string' ? parent : '']))
  const depths = new Map([[root, 0]])
  for (const { task = root } of entries) {
    let depth = 0
    for (let at = task; at !== root && depth < 32; at = parents.get(at) ?? root) depth++
    depths.set(task, depth)
  }
  return depths
}

function wrap(time: string, indent: number, said: string): string[] {
  const left = Math.min(indent, 40)
  const room = width - timeWidth - left
  const lines: string[] = []
  let line = ''
  // A word longer than the line, or blanks that do not break, would go on at the terminal's left edge, where lines of ours begin.
  const words = said.replace(/\p{Zs}/gu, ' ').split(' ')
  for (const word of words.flatMap((one) => one.match(/.{1,50}/gu) ?? [''])) {
    const hang = lines.length === 0 ? 0 : 4
    if (line !== '' && line.length + 1 + word.length > room - hang) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  const margin = ' '.repeat(timeWidth + left + 4)
  return lines.map((one, i) => (i === 0 ? `${time}  ${' '.repeat(left)}${one}` : `${margin}${one}`))
}
