// `hallpass dev` without a configuration: everything it needs, made where it is missing, under one folder of the user's.
import { randomBytes } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Running } from '../compose/start.js'
import { systemClock } from '../core/clock.js'
import { makeFolder } from '../core/make-folder.js'
import { createMissingKeys } from '../signing/key-rotation.js'
import { readOrCreateIssuerKey } from './issuer-key.js'
import { type FoundRedis, findRedis } from './redis.js'

export const devIssuerUrl = 'http://127.0.0.1:8701'
export const devAudience = 'http://127.0.0.1:8700'
export const devOperatorAudience = 'hallpass-operators'

export interface DevState {
  readonly directory: string
  readonly configFile: string
  readonly redis: FoundRedis
}

/** `$XDG_STATE_HOME/hallpass-dev`, by default under `~/.local/state`. */
export function devDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const { XDG_STATE_HOME: state } = environment
  // The XDG specification: a path that is not absolute is to be ignored.
  return join(state?.startsWith('/') ? state : join(homedir(), '.local', 'state'), 'hallpass-dev')
}

/** Finds Redis, makes keys, and lays the built-in configuration beside them. */
export async function prepareDev(environment: NodeJS.ProcessEnv = process.env): Promise<DevState> {
  const directory = devDirectory(environment)
  await makeFolder(directory)
  const redis = await findRedis(join(directory, 'redis'), environment, (line) =>
    process.stderr.write(`hallpass dev: ${line}\n`),
  )
  await writeFile(join(directory, 'redis.url'), redis.url, { mode: 0o600 })
  const sealing = join(directory, 'sealing.key')
  await readFile(sealing).catch(() => writeFile(sealing, randomBytes(32).toString('base64'), { mode: 0o600 }))
  await createMissingKeys(join(directory, 'keys'), systemClock)
  await cp(builtInFolder(), directory, { recursive: true })
  return { directory, configFile: join(directory, 'hallpass.yaml'), redis }
}

/** `config/dev` of the package: two folders up in the sources, three in the build. */
function builtInFolder(): string {
  const up = import.meta.url.includes('/dist/') ? '../../../config/dev' : '../../config/dev'
  return fileURLToPath(new URL(up, import.meta.url))
}

/**
 * The development issuer: discovery and keys over HTTP on loopback. Tokens are made by `hallpass dev token` with the same key. Throws
 * where its port is taken, so whoever starts it first is the only `hallpass dev`.
 */
export async function startDevIssuer(environment: NodeJS.ProcessEnv = process.env): Promise<Running> {
  const directory = devDirectory(environment)
  await makeFolder(directory)
  const { publicJwk } = await readOrCreateIssuerKey(directory)
  const documents: Record<string, object> = {
    '/.well-known/openid-configuration': {
      issuer: devIssuerUrl,
      jwks_uri: `${devIssuerUrl}/jwks.json`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    },
    '/jwks.json': { keys: [publicJwk] },
  }
  const server = createServer((request, response) => {
    const document = documents[request.url ?? '']
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document ?? { error: 'not_found' }))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'EADDRINUSE' ? portTaken() : error))
    server.listen(Number(new URL(devIssuerUrl).port), '127.0.0.1', resolve)
  })
  return {
    async drain() {
      server.close()
      server.closeAllConnections()
    },
  }
}

const portTaken = () =>
  new Error(
    `${new URL(devIssuerUrl).host} is taken: another hallpass dev runs already, or some other program listens there`,
  )

/** For the person who has started it. */
export function announceDev(): void {
  process.stderr.write(
    `\n  Hallpass for development: ${devAudience}\n` +
      '  a workload token:    hallpass dev token\n' +
      "  an operator's token: hallpass dev token --operator\n\n",
  )
}
