// What the tests of aws_sts share: a federation issuer with real keys, a lock, and IAM's evaluation of policies.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { type StsStandIn, startStsStandIn } from '../../scripts/servers/stand-ins/sts.js'
import { type Clock, systemClock } from '../../src/core/clock.js'
import { createAwsStsProvider } from '../../src/providers/aws-sts.js'
import type { SignFederationToken } from '../../src/providers/aws-sts-assume.js'
import { type AwsStsConfig, awsStsConfig } from '../../src/providers/aws-sts-config.js'
import type { LockRole } from '../../src/providers/aws-sts-deny-writer.js'
import type { Issued, JsonObject, LeaseToIssue, Provider } from '../../src/providers/provider.js'
import { leaseToIssue } from '../contracts/provider-under-test.js'

export const account = '123456789012'

export interface Federation {
  issuer: string
  jwksUrl: string
  sign: SignFederationToken
  stop(): Promise<void>
}

/** An issuer of federation tokens whose keys are served on loopback. */
export async function startFederation(): Promise<Federation> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'federation-1', alg: 'ES256', use: 'sig' }
  const server = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const issuer = `${url}/federation`
  const sign: SignFederationToken = ({ sub, aud, expiresInSeconds, extra }) =>
    new SignJWT(extra ?? {})
      .setProtectedHeader({ alg: 'ES256', kid: 'federation-1', typ: 'JWT' })
      .setIssuer(issuer)
      .setSubject(sub)
      .setAudience(aud)
      .setIssuedAt()
      .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInSeconds)
      .sign(privateKey)
  const stop = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { issuer, jwksUrl: `${issuer}/.well-known/jwks.json`, sign, stop }
}

/** One queue per key: what Redis gives across processes, within this one. */
export function createLock(): LockRole {
  const tails = new Map<string, Promise<unknown>>()
  return (key, work) => {
    const run = (tails.get(key) ?? Promise.resolve()).then(work)
    tails.set(
      key,
      run.catch(() => {}),
    )
    return run
  }
}

/** A parsed configuration with fast settings; `changes` are laid over it as an operator would write them. */
export function awsConfig(endpoint: string | undefined, changes: Record<string, unknown> = {}): AwsStsConfig {
  return awsStsConfig.parse({
    type: 'aws_sts',
    region: 'eu-west-1',
    auth: 'web_identity',
    timeout: '8s',
    early_revocation: { method: 'deny_policy', batch: '0s', propagation: '1s' },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...changes,
  })
}

export const objectRead: JsonObject = {
  role: `arn:aws:iam::${account}:role/hallpass-reports`,
  session_policy: {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: ['s3:GetObject'], Resource: 'arn:aws:s3:::acme-reports/*' }],
  },
}

/** What the role itself may do: much more than a grant. */
export const rolePolicy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['s3:*', 'sts:AssumeRole'], Resource: '*' }],
})

export interface Question {
  rolePolicies: readonly string[]
  sessionPolicy: string
  session: string
  /** Epoch milliseconds, as aws:CurrentTime. */
  at: number
  action?: string
  resource?: string
}

/** Whether IAM would allow it. Throws where the policies or the question are not valid. */
export async function isAllowed(question: Question): Promise<boolean> {
  const answer = await runSimulation(
    {
      request: {
        principal: `arn:aws:sts::${account}:assumed-role/hallpass-reports/${question.session}`,
        action: question.action ?? 's3:GetObject',
        resource: { resource: question.resource ?? 'arn:aws:s3:::acme-reports/august.csv', accountId: account },
        contextVariables: {
          'aws:CurrentTime': `${new Date(question.at).toISOString().slice(0, 19)}Z`,
          'aws:userid': `AROAEXAMPLEROLE:${question.session}`,
        },
      },
      sessionPolicy: JSON.parse(question.sessionPolicy),
      identityPolicies: question.rolePolicies.map((text, at) => ({ name: `policy-${at}`, policy: JSON.parse(text) })),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  )
  if (answer.resultType === 'error') throw new Error(`not a valid question: ${JSON.stringify(answer.errors)}`)
  return answer.overallResult === 'Allowed'
}

/** A clock that a test can move; it runs on from there. `monotonicMs`: it stands still there instead. */
class MovableClock implements Clock {
  offsetMs = 0
  monotonicMs: number | null = null
  now(): number {
    return systemClock.now() + this.offsetMs
  }
  monotonic(): number {
    return this.monotonicMs ?? systemClock.monotonic()
  }
}

export interface AwsWorld {
  sts: StsStandIn
  clock: MovableClock
  /** A second one stands for another process: it shares the lock and nothing else. */
  createProvider(changes?: Record<string, unknown>): Provider
  lease(ttlSeconds?: number, overrides?: Partial<LeaseToIssue>): LeaseToIssue
  /** Whether IAM would let this session's holder do it at the clock's time. */
  allowed(issued: Issued, ask?: { action?: string; resource?: string; at?: number }): Promise<boolean>
  stop(): Promise<void>
}

/** The stand-in with the roles of `objectRead`, a federation issuer and a clock. */
export async function startAwsWorld(): Promise<AwsWorld> {
  const sts = await startStsStandIn()
  sts.createRole('hallpass-reports').policies.set('reports', rolePolicy)
  sts.createRole('hallpass-deny')
  const federation = await startFederation()
  sts.registerIdentityProvider(federation.issuer, federation.jwksUrl)
  const clock = new MovableClock()
  const lockRole = createLock()
  const made: Provider[] = []
  const deps = { clock, signFederationToken: federation.sign, federationIssuer: federation.issuer, lockRole }
  return {
    sts,
    clock,
    createProvider: (changes) => {
      const provider = createAwsStsProvider('aws', awsConfig(sts.url, changes), deps)
      made.push(provider)
      return provider
    },
    lease: (ttlSeconds = 600, overrides = {}) =>
      leaseToIssue(ttlSeconds, { action: 'object.read', resource: 'bucket:reports', ...overrides }),
    allowed: async (issued, ask = {}) => {
      const session = sts.findSession(issued.providerRef)
      if (!session) throw new Error('STS does not know this access key')
      const rolePolicies = [...session.role.policies.values()]
      return isAllowed({ at: clock.now(), ...ask, rolePolicies, sessionPolicy: session.policy, session: session.name })
    },
    stop: async () => {
      for (const provider of made) await provider.close()
      await federation.stop()
      await sts.stop()
    },
  }
}
