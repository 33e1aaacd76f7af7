// What operators write and what they are told: configuration, set-up text, doctor.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { awsStsConfig } from '../../../src/providers/aws-sts-config.js'
import { setupText } from '../../../src/providers/aws-sts-setup.js'
import type { Provider } from '../../../src/providers/provider.js'
import { type AwsWorld, awsConfig, objectRead, startAwsWorld } from '../../support/aws-sts.js'

const example = {
  type: 'aws_sts',
  region: 'eu-west-1',
  auth: 'web_identity',
  early_revocation: { method: 'deny_policy', when: 'always', batch: '2s', min_remaining: '60s' },
}

describe('configuration', () => {
  test('takes the example and knows the defaults', () => {
    const config = awsStsConfig.parse(example)
    expect(config).toMatchObject({
      timeout: 5,
      concurrency: 16,
      early_revocation: { batch: 2, min_remaining: 60, propagation: 10 },
    })
    expect(awsStsConfig.parse({ ...example, early_revocation: 'none' }).early_revocation).toBe('none')
  })

  test.each([
    ['an unknown key', { ...example, regions: 'x' }],
    ['an unknown key of early_revocation', { ...example, early_revocation: { method: 'deny_policy', every: '2s' } }],
    ['another way to log in', { ...example, auth: 'access_key' }],
    ['no region', { ...example, region: 'Ireland' }],
    ['http beyond loopback', { ...example, endpoint: 'http://sts.example' }],
    ['a time-out without a unit', { ...example, timeout: 5 }],
    ['another `when`', { ...example, early_revocation: { method: 'deny_policy', when: 'never' } }],
  ])('refuses %s', (_, value) => {
    expect(awsStsConfig.safeParse(value).success).toBe(false)
  })
})

describe('set-up text', () => {
  const issuer = 'https://hallpass.acme.example/federation'
  const grants = [
    { action: 'object.read', recipe: objectRead },
    { action: 'object.list', recipe: objectRead },
  ]
  const documents = (text: string) => [...text.matchAll(/^\{[\s\S]*?^\}/gm)].map((match) => JSON.parse(match[0]))

  test('by web identity: provider, trust by audience and exact subjects, and a writer bound to the roles', () => {
    const text = setupText('aws', awsConfig(undefined), issuer, grants)
    expect(text).toContain(`--url ${issuer} --client-id-list sts.amazonaws.com`)
    const [trust, writerTrust, writerRights] = documents(text)
    expect(trust.Statement).toEqual([
      {
        Effect: 'Allow',
        Principal: { Federated: 'arn:aws:iam::123456789012:oidc-provider/hallpass.acme.example/federation' },
        Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'],
        Condition: {
          StringEquals: {
            'hallpass.acme.example/federation:aud': 'sts.amazonaws.com',
            'hallpass.acme.example/federation:sub': ['hallpass:aws:object.read', 'hallpass:aws:object.list'],
          },
        },
      },
    ])
    expect(writerTrust.Statement[0].Condition.StringEquals['hallpass.acme.example/federation:sub']).toEqual([
      'hallpass:aws:deny_policy',
    ])
    expect(writerRights.Statement[0].Resource).toEqual([objectRead.role])
    expect(writerRights.Statement[0].Action).toEqual(['iam:GetRolePolicy', 'iam:PutRolePolicy', 'iam:ListRolePolicies'])
  })

  test('by the default chain: what the identity may assume, and no federation', () => {
    const text = setupText('aws', awsConfig(undefined, { auth: 'default_chain' }), issuer, grants)
    expect(text).not.toContain('oidc-provider')
    expect(documents(text)[0].Statement[0].Resource).toEqual([objectRead.role])
    expect(text).toContain('iam:PutRolePolicy')
  })

  test('without early revocation it asks for no right to write and says what that means', () => {
    const text = setupText('aws', awsConfig(undefined, { early_revocation: 'none' }), issuer, grants)
    expect(text).not.toContain('iam:PutRolePolicy')
    expect(text).toContain('natural_expiry')
  })
})

describe('doctor', () => {
  let world: AwsWorld
  let provider: Provider
  beforeAll(async () => {
    world = await startAwsWorld()
    provider = world.createProvider({ timeout: '10s' })
    provider.validate(objectRead, { name: 'object.read', standing: false, maxTtlSeconds: 600 })
  })
  afterAll(() => world.stop())

  test('finds nothing wrong where nothing is, and leaves no usable session behind', async () => {
    expect(await provider.diagnose()).toEqual([])
    const probing = world.sts.calls.find((call) => call.form.get('RoleSessionName') === 'hallpass-doctor')
    expect(probing?.form.get('Policy')).toBe(
      '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}',
    )
  })

  test.each([
    ['a role that does not trust us', 'AssumeRoleWithWebIdentity', /object\.read: .*AccessDenied.*provider setup/],
    [
      'a missing right to write',
      'PutRolePolicy',
      /iam:PutRolePolicy for arn:aws:iam::123456789012:role\/hallpass-deny/,
    ],
    ['a missing right to list', 'ListRolePolicies', /allow iam:ListRolePolicies/],
  ])('names %s and what to do', async (_, action, expected) => {
    world.sts.failNext({ status: 403, code: 'AccessDenied' }, { action })
    expect((await provider.diagnose()).join('\n')).toMatch(expected)
    world.sts.recover()
  })

  test('finds inline policies of others that leave less room than was promised', async () => {
    const big = { Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: 's3:*', Resource: 'x'.repeat(3_000) }] }
    world.sts.findRole('hallpass-reports')?.policies.set('big', JSON.stringify(big))
    expect((await provider.diagnose()).join('\n')).toMatch(/other_policies/)
  })

  test('says that AWS cannot reach an issuer on loopback', async () => {
    const { diagnoseIdentity } = await import('../../../src/providers/aws-sts-diagnose.js')
    const { createStsClient } = await import('../../../src/providers/aws-sts-calls.js')
    const config = awsConfig(undefined)
    const sts = createStsClient(config)
    expect((await diagnoseIdentity(config, sts, 'http://127.0.0.1:8700/federation')).join()).toContain('cannot fetch')
    sts.destroy()
  })
})
