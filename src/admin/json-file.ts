// JSON that an option names. A wrong path may be that of a key or a token, and what JSON.parse says of it quotes its beginning.
import { readFile } from 'node:fs/promises'
import { UsageError } from '../cli/exit-codes.js'
import { systemCode } from '../config/problems.js'

/** Throws UsageError with the option, the file and why, never with anything that stands in the file. */
export async function readJsonFile(file: string, option: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new UsageError(`${option}: ${file} cannot be read (${systemCode(error) ?? 'unknown error'})`)
  }
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UsageError(`${option}: ${file} is not JSON`)
  }
}
