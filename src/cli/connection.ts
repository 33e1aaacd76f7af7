// From the environment to a client of the broker.
import { readFileSync } from 'node:fs'
import {
  type BrokerClient,
  boundAudienceOf,
  ClientError,
  clientCertificateFrom,
  createBrokerClient,
  createDpopKey,
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

/**
 * Throws ClientError `invalid_configuration`; the token itself is looked for at the first call that needs one. `dpop`: proves
 * a key of this process, so only for a command that carries what it opens to its end by itself.
 */
export function connectBroker(environment: Environment, { dpop = false } = {}): BrokerClient {
  const where = brokerAddress(environment)
  const login = findStoredLogin(environment, where.url, systemClock)
  const isHanded = isSet(environment.HALLPASS_DELEGATION_TOKEN)
  if (dpop && isHanded) {
    throw new ClientError('invalid_configuration', 'HALLPASS_DELEGATION_TOKEN is bound to no key: it goes without DPoP')
  }
  const key = dpop ? createDpopKey() : undefined
  const findAudience = async () => boundAudienceOf(await fetchBrokerMetadata(where), key)
  const certificate = findCertificate(environment)
  // With a certificate only a token that somebody set on purpose goes beside it.
  const wantsToken =
    certificate === undefined || isHanded || isSet(environment.HALLPASS_TOKEN) || isSet(environment.HALLPASS_TOKEN_FILE)
  const tokenSource = wantsToken ? findSubjectTokenSource({ environment, findAudience, login }) : undefined
  return createBrokerClient({ ...where, dpop: key, certificate, tokenSource })
}

/** Whether anything here says who we are: what `connectBroker` would show. */
export function hasIdentity(environment: Environment): boolean {
  if (findCertificate(environment) !== undefined) return true
  const { url } = brokerAddress(environment)
  const login = findStoredLogin(environment, url, systemClock)
  return findSubjectTokenSource({ environment, findAudience: async () => '', login }).name !== 'none'
}

/** HALLPASS_CERT and HALLPASS_KEY name the files of an X.509-SVID. */
function findCertificate({ HALLPASS_CERT: cert, HALLPASS_KEY: key }: Environment) {
  if (isSet(cert) && isSet(key)) return clientCertificateFrom(cert, key)
  if (!isSet(cert) && !isSet(key)) return undefined
  throw new ClientError(
    'invalid_configuration',
    'HALLPASS_CERT and HALLPASS_KEY go together: a certificate and its key',
  )
}

const isSet = (value: string | undefined): value is string => value !== undefined && value !== ''

/** `--dpop`, or HALLPASS_DPOP=1. Off otherwise: HALLPASS_URL has to be the broker's issuer for it. */
export function wantsDpop(options: { dpop?: boolean | undefined }, environment: Environment): boolean {
  const value = environment.HALLPASS_DPOP
  if (value !== undefined && !['', '0', '1'].includes(value)) {
    throw new ClientError('invalid_configuration', 'HALLPASS_DPOP: expected 1 or 0')
  }
  return options.dpop ?? value === '1'
}

function readCa(path: string | undefined): string | undefined {
  if (path === undefined || path === '') return undefined
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ClientError('invalid_configuration', `HALLPASS_CA: ${path} cannot be read`, { cause: error })
  }
}
