// A real STS and IAM for tests and the demo: moto, the first that is there, on a loopback port of its own.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePort } from './free-port.js'
import { stopByPid, waitUntil } from './processes.js'

export type FoundSts = { kind: 'url'; url: string } | { kind: 'program'; path: string }

export interface RunningMoto {
  url: string
  pid: number
  stop(): Promise<void>
}

/** AWS_ENDPOINT_URL_STS, else a moto_server on PATH that runs, else the one that install-moto.mjs made, else null. */
export function findMoto(): FoundSts | null {
  const { AWS_ENDPOINT_URL_STS, PATH } = process.env
  if (AWS_ENDPOINT_URL_STS) return { kind: 'url', url: AWS_ENDPOINT_URL_STS }
  const folders = (PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const installed = join(homedir(), '.cache', 'hallpass', 'moto', 'bin')
  const path = [...folders, installed].map((folder) => join(folder, 'moto_server')).find(runs)
  return path === undefined ? null : { kind: 'program', path }
}

/** Starts it on a free loopback port and waits until it answers. */
export async function startMoto(path: string): Promise<RunningMoto> {
  const port = await freePort()
  // No AWS_* of ours: it must neither read nor use the user's accounts.
  const env = { PATH: process.env.PATH, HOME: homedir(), MOTO_CALL_RESET_API: 'false' }
  const child = spawn(path, ['-H', '127.0.0.1', '-p', String(port)], { env, stdio: 'ignore' })
  const { pid } = child
  if (pid === undefined) throw new Error(`${path} could not be started`)
  const url = `http://127.0.0.1:${port}`
  try {
    await waitUntil('moto_server', async () => {
      if (child.exitCode !== null) throw new Error(`${path} ended at once with ${child.exitCode}`)
      return fetch(`${url}/moto-api/data.json`).then(
        (response) => response.ok,
        () => false,
      )
    })
  } catch (error) {
    await stopByPid(child)
    throw error
  }
  return { url, pid, stop: () => stopByPid(child) }
}

/** A version manager leaves shims for programs that it does not have: only what runs is found. */
function runs(program: string): boolean {
  return existsSync(program) && spawnSync(program, ['--help'], { stdio: 'ignore', timeout: 90_000 }).status === 0
}
