// The provider contract on a real STS and IAM (moto) and on the stand-in. Only the stand-in keeps session policies where a
// test can read them; there every credential is judged as IAM would judge it.
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam'
import { expect, test } from '@jest/globals'
import { freePort } from '../../scripts/servers/free-port.js'
import { type FoundSts, findMoto, startMoto } from '../../scripts/servers/moto.js'
import { type StsStandIn, startStsStandIn } from '../../scripts/servers/stand-ins/sts.js'
import { systemClock } from '../../src/core/clock.js'
import { createAwsStsProvider } from '../../src/providers/aws-sts.js'
import type { Credential, LeaseToIssue, Provider } from '../../src/providers/provider.js'
import { awsConfig, createLock, isAllowed, objectRead, rolePolicy, startFederation } from '../support/aws-sts.js'
import { describeProviderContract, leaseToIssue, type ProviderUnderTest } from './provider.js'

const grant = { name: 'object.read', standing: false, maxTtlSeconds: 3_600 }
// Signed calls need an identity; neither server has accounts of ours.
process.env.AWS_ACCESS_KEY_ID = 'AKIAHALLPASSTEST0000'
process.env.AWS_SECRET_ACCESS_KEY = 'test-only'

const makeLease = (ttlSeconds: number): LeaseToIssue =>
  leaseToIssue(ttlSeconds, { action: 'object.read', resource: 'bucket:reports' })

function knowRole(provider: Provider): Provider {
  expect(provider.validate(objectRead, grant)).toEqual([])
  return provider
}

const found = findMoto()

async function onMoto(changes: Record<string, unknown>, at: FoundSts): Promise<ProviderUnderTest> {
  const moto = at.kind === 'url' ? { url: at.url, stop: async () => {} } : await startMoto(at.path)
  const iam = new IAMClient({ endpoint: moto.url, region: 'eu-west-1' })
  const trust =
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'
  for (const RoleName of ['hallpass-reports', 'hallpass-deny']) {
    const command = new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust })
    await iam.send(command).catch((error: Error) => expect(error.name).toMatch(/EntityAlreadyExists/))
  }
  await iam.send(
    new PutRolePolicyCommand({ RoleName: 'hallpass-reports', PolicyName: 'reports', PolicyDocument: rolePolicy }),
  )
  iam.destroy()
  const federation = await startFederation()
  const deps = {
    clock: systemClock,
    signFederationToken: federation.sign,
    federationIssuer: federation.issuer,
    lockRole: createLock(),
  }
  return {
    provider: knowRole(createAwsStsProvider('aws', awsConfig(moto.url, changes), deps)),
    recipe: objectRead,
    makeLease,
    waitableTtlSeconds: 8,
    stop: async () => {
      await federation.stop()
      await moto.stop()
    },
  }
}

async function onStandIn(changes: Record<string, unknown>): Promise<ProviderUnderTest> {
  // It comes back to the same port, which nobody else may take meanwhile.
  const port = await freePort()
  const sts = await startStsStandIn({ port })
  sts.createRole('hallpass-reports').policies.set('reports', rolePolicy)
  sts.createRole('hallpass-deny')
  const federation = await startFederation()
  sts.registerIdentityProvider(federation.issuer, federation.jwksUrl)
  const deps = {
    clock: systemClock,
    signFederationToken: federation.sign,
    federationIssuer: federation.issuer,
    lockRole: createLock(),
  }
  const config = awsConfig(sts.url, changes)
  return {
    provider: knowRole(createAwsStsProvider('aws', config, deps)),
    recipe: objectRead,
    makeLease,
    use: (credential) => isUsable(sts, credential),
    ...(config.early_revocation === 'none'
      ? {}
      : {
          breakConnection: async () => {
            await sts.stop()
            return () => sts.listen(port)
          },
          hang: async () => {
            sts.failNext({ hang: true }, { times: 1_000 })
            return async () => sts.recover()
          },
        }),
    waitableTtlSeconds: 8,
    stop: async () => {
      await federation.stop()
      await sts.stop()
    },
  }
}

/** Judged now, by the policies that STS and IAM were given. */
async function isUsable(sts: StsStandIn, credential: Credential): Promise<boolean> {
  const session = sts.findSession(String(credential.access_key_id))
  if (!session) return false
  return isAllowed({
    rolePolicies: [...session.role.policies.values()],
    sessionPolicy: session.policy,
    session: session.name,
    at: Date.now(),
  })
}

const requireReal = process.env.HALLPASS_REQUIRE_REAL === '1'
const skip =
  found === null && !requireReal ? 'no moto_server; node scripts/servers/install-moto.mjs adds it' : undefined

function needMoto(): FoundSts {
  if (found === null) throw new Error('HALLPASS_REQUIRE_REAL=1 and there is no moto_server')
  return found
}

describeProviderContract('aws_sts by web identity on moto', () => onMoto({}, needMoto()), { skip })
describeProviderContract('aws_sts by default chain on moto', () => onMoto({ auth: 'default_chain' }, needMoto()), {
  skip,
})
describeProviderContract('aws_sts by web identity on the stand-in', () => onStandIn({}))
describeProviderContract('aws_sts by default chain on the stand-in', () => onStandIn({ auth: 'default_chain' }))
describeProviderContract('aws_sts without early revocation on the stand-in', () =>
  onStandIn({ early_revocation: 'none' }),
)

test('a machine that must have the real server has it', () => {
  expect(requireReal && found === null).toBe(false)
})
