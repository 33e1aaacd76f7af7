// The thread of parse-apart.ts: one set, one answer.
import { parentPort, workerData } from 'node:worker_threads'
import type { ApartAnswer, ApartInput } from './parse-apart.js'
import { PolicySetError, parsePolicySet } from './policy-set.js'

const { files, rules } = workerData as ApartInput
parentPort?.postMessage(await answer())

async function answer(): Promise<ApartAnswer> {
  try {
    return { set: await parsePolicySet(files, rules) }
  } catch (error) {
    if (error instanceof PolicySetError) return { problems: error.problems }
    throw error
  }
}
