// From the environment to a client of the broker.
import { readFileSync } from 'node:fs'
import {
  audienceOf,
  type BrokerClient,
  ClientError,
  createBrokerClient,
  type Environment,
  fetchBrokerMetadata,
  findSubjectTokenSource,
} from '../client/index.js'
import { findStoredLogin } from '../client/stored-login.js'
import { systemClock } from '../core/clock.js'
import type { Output } from './output.js'

/** What a command may touch besides its options. */
export interface CommandIo {
  readonly environment: Environment
  readonly output: Output
  /** All of stdin, as text. */
  readStdin(): Promise<string>
}

/** Where the broker is. Throws ClientError `invalid_configuration`. */
export function brokerAddress(environment: Environment): { url: string; ca?: string } {
  const url = environment.HALLPASS_URL
  if (url === undefined || url === '') {
    throw new ClientError('invalid_configuration', 'HALLPASS_URL is not set: the address of the broker')
  }
  const ca = readCa(environment.HALLPASS_CA)
  return { url, ...(ca === undefined ? {} : { ca }) }
}

/** Throws ClientError `invalid_configuration`; the token itself is looked for at the first call that needs one. */
export function connectBroker(environment: Environment): BrokerClient {
  const where = brokerAddress(environment)
  const login = findStoredLogin(environment, where.url, systemClock)
  const findAudience = async () => audienceOf(await fetchBrokerMetadata(where))
  return createBrokerClient({ ...where, tokenSource: findSubjectTokenSource({ environment, findAudience, login }) })
}

function readCa(path: string | undefined): string | undefined {
  if (path === undefined || path === '') return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ClientError('invalid_configuration', `HALLPASS_CA: ${path} cannot be read`, { cause: error })
  }
}
